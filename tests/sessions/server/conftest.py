"""How much memory something takes."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def peak() -> Callable[[Callable[[], Any]], float]:
    """Call something; return how many bytes it took at most, beyond what there was."""

    def measure(work: Callable[[], Any]) -> float:
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure
