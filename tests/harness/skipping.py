"""What becomes of a test whose server is not on this machine: skipped, but in CI it fails."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from tests.harness import Missing

T = TypeVar("T")

CI = os.environ.get("CI", "").lower() in ("1", "true")


@contextmanager
def required() -> Iterator[None]:
    """Skip a test whose server is not on this machine; in CI nothing is skipped."""
    try:
        yield
    except Missing as missing:
        if CI:
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


def started(start: Callable[..., T], *args: Any, **options: Any) -> T:
    """The server that `start` returns; `required` if it is missing."""
    with required():
        return start(*args, **options)
