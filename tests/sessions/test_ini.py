"""Variables of the environment in the values of an .ini file."""

import pytest

from sessionsite.sessions.ini import ConfigurationError, expand_environment


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
