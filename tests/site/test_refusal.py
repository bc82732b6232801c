"""A setting that stops the program is one line, and nothing else changes for whoever calls."""

import configparser
import sys
from typing import Any

import pytest

from sessionsite import main
from sessionsite.refusal import print_refusals
from sessionsite.sessions import ConfigurationError


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The errors that the program's own hook has printed."""
    printed: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: printed.append(error[1]))
    return printed


def refused() -> ConfigurationError:
    with pytest.raises(ConfigurationError) as raised:
        main({}, **{"sessionsite.history_limit": "0\n and more"})
    return raised.value


def test_a_refusal_that_nothing_catches_is_one_line(
    printed: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    exc = refused()
    assert capsys.readouterr() == ("", "")
    sys.excepthook(type(exc), exc, exc.__traceback__)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ConfigurationError: sessionsite.history_limit = ")
    assert printed == []


def test_any_other_error_is_printed_as_before(printed: list[Any]) -> None:
    refused()
    hook = sys.excepthook
    refused()
    assert sys.excepthook is hook
    other = ValueError("another")
    hook(ValueError, other, None)
    assert printed == [other]


@pytest.mark.parametrize("value", ["postgresql://u:%40hunter2@h/d", "postgresql://u:%(hunter2)s@h"])
def test_a_percent_sign_that_is_not_doubled_shows_no_value(
    value: str, printed: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    ini = configparser.ConfigParser()
    ini.read_string(f"[app:main]\nsession.sqlalchemy.url = {value}\n")
    with pytest.raises(configparser.InterpolationError) as raised:
        ini.get("app:main", "session.sqlalchemy.url")
    assert "hunter2" in str(raised.value)
    print_refusals()
    sys.excepthook(raised.type, raised.value, raised.tb)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ConfigurationError: [app:main] session.sqlalchemy.url: a % must be ")
    assert "hunter2" not in line
    assert printed == []
