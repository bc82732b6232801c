"""The signing secret that a checkout makes for itself."""

import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest

from sessionsite.secret_file import with_secret
from sessionsite.testing import in_parallel
from tests.harness.refusals import check_refusal


def settings(path: Path, **more: str) -> dict[str, Any]:
    return {"sessionsite.secret_file": str(path), **more}


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.secret"
    old = os.umask(0)
    try:
        first = with_secret(settings(path))["session.secret"]
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(bytes.fromhex(first)) == 32
    assert path.read_text() == f"{first}\n"
    assert with_secret(settings(path))["session.secret"] == first
    assert list(tmp_path.iterdir()) == [path]


def test_each_file_has_its_own(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "ab"]
    assert len({with_secret(settings(path))["session.secret"] for path in paths}) == 2


def test_processes_that_start_at_once_have_one(tmp_path: Path) -> None:
    path = tmp_path / "x.secret"
    found = in_parallel(16, lambda _: with_secret(settings(path))["session.secret"])
    assert len(set(found)) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_in_the_settings_is_left_alone(tmp_path: Path) -> None:
    given = settings(tmp_path / "x.secret", **{"session.secret": "given"})
    assert with_secret(given) == given
    assert with_secret({"a": "b"}) == {"a": "b"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", ["read_text", "mkstemp", "link"])
def test_where_it_can_not_be_kept_the_secret_is_this_process_alone(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise PermissionError(30, "Read-only file system")

    where = {"read_text": Path, "mkstemp": tempfile, "link": os}[failing]
    monkeypatch.setattr(where, failing, refuse)
    path = tmp_path / "x.secret"
    secrets = {with_secret(settings(path))["session.secret"] for _ in range(2)}
    assert len(secrets) == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "Read-only file system" in caplog.text
    assert not any(secret in caplog.text for secret in secrets)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "\n", "short\n"])
def test_a_file_without_a_secret_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.secret"
    path.write_text(content)
    key = "sessionsite.secret_file"
    check_refusal(lambda: with_secret(settings(path)), key, "delete it")


def test_the_one_that_another_process_was_first_to_make_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.secret"
    theirs: list[str] = []

    def another_first(*args: Any) -> None:
        monkeypatch.undo()
        theirs.append(with_secret(settings(path))["session.secret"])
        os.link(*args)

    monkeypatch.setattr(os, "link", another_first)
    assert with_secret(settings(path))["session.secret"] == theirs[0]
    assert list(tmp_path.iterdir()) == [path]
