"""A setting that stops the process is told in one line.

`pserve` catches no error of its app or server: Python would print a traceback of forty lines, the
last of which is for the operator.
"""

import configparser
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from .sessions import ConfigurationError


@contextmanager
def refusals_in_one_line() -> Iterator[None]:
    """If a `ConfigurationError` leaves the block, and then the program, print it as one line.

    The error is raised as ever, so that callers can catch it; others have their traceback.
    """
    try:
        yield
    except ConfigurationError:
        print_refusals()
        raise


def print_refusals() -> None:
    """From now on, if such an error ends the program, print it as one line.

    So is a `%` that the .ini file does not double. The server's section is read before the app's,
    whose secrets and passwords that error would quote.
    """
    if not isinstance(sys.excepthook, _OneLine):
        sys.excepthook = _OneLine()


def why_uninterpolated(exc: configparser.InterpolationError) -> str:
    """Return what is wrong with a `%`. The error itself quotes the value, perhaps a password."""
    return f"[{exc.section}] {exc.option}: a % must be doubled, or name a variable in %(...)s"


class _OneLine:
    def __init__(self) -> None:
        self._print_others = sys.excepthook

    def __call__(
        self, kind: type[BaseException], exc: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(exc, configparser.InterpolationError):
            kind, exc = ConfigurationError, ConfigurationError(why_uninterpolated(exc))
        if isinstance(exc, ConfigurationError):
            line = f"{kind.__name__}: {' '.join(str(exc).split())}"
            print(line, file=sys.stderr)  # noqa: T201
        else:
            self._print_others(kind, exc, traceback)
