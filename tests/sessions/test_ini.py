"""Variables of the environment in the values of an .ini file."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from sessionsite.sessions.ini import (
    ConfigurationError,
    SettingsReader,
    expand_environment,
    key,
    text,
)
from tests.harness.refusals import check_refusal


class TestEnvironment:
    def test_variables_are_replaced(self) -> None:
        settings = {"a": "x${A}y", "b": "${B:-default}", "c": "${E:-d}", "n": 5, "p": "$A {A} %"}
        assert expand_environment(settings, {"A": "1", "E": ""}) == {
            "a": "x1y", "b": "default", "c": "d", "n": 5, "p": "$A {A} %",
        }  # fmt: skip

    def test_what_a_variable_holds_is_taken_as_it_is(self) -> None:
        assert expand_environment({"a": "${A}"}, {"A": "${B}%(here)s"})["a"] == "${B}%(here)s"

    def test_an_empty_default_is_a_default(self) -> None:
        assert expand_environment({"a": "${A:-}"}, {}) == {"a": ""}

    def test_one_that_is_not_set_is_named(self) -> None:
        with pytest.raises(ConfigurationError, match=r"session\.secret .* SESSION_SECRET"):
            expand_environment({"session.secret": "${SESSION_SECRET}"}, {})

    @pytest.mark.parametrize("environ", [{}, {"A": ""}])
    def test_an_empty_variable_without_a_default_counts_as_not_set(
        self, environ: dict[str, str]
    ) -> None:
        with pytest.raises(ConfigurationError, match="A"):
            expand_environment({"key": "${A}"}, environ)


class TestFiles:
    @pytest.mark.parametrize(
        "text", ["s\u00e9cret ${A}", "s\u00e9cret ${A}\n", "s\u00e9cret ${A}\r\n"]
    )
    def test_a_file_is_taken_as_it_is_but_for_the_line_break(
        self, tmp_path: Path, text: str
    ) -> None:
        path = tmp_path / "secret file"
        path.write_text(text, "utf-8", newline="")
        settings = {"a": f"<${{file:{path}}}>"}
        assert expand_environment(settings, {"A": "1"}) == {"a": "<s\u00e9cret ${A}>"}

    @pytest.mark.parametrize("name", ["missing", "", "binary", "a\0b"])
    def test_one_that_can_not_be_read_is_named(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "binary").write_bytes(b"\xff")
        path = str(tmp_path / name)  # a folder, where it has no name
        call = {"session.secret": f"${{file:{path}}}"}
        check_refusal(lambda: expand_environment(call, {}), "session.secret", "can't be read")


def test_a_key_without_a_default_is_required() -> None:
    @dataclass
    class Mine:
        name: str = key(text("a name"), "What it is called.")

    assert SettingsReader({"mine.name": "x"}, "mine.").keys(Mine) == {"name": "x"}
    check_refusal(lambda: SettingsReader({}, "mine.").keys(Mine), "mine.name", "is required")
