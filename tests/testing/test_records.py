"""`sessionsite.testing.in_parallel`."""

import threading

import pytest

from sessionsite.testing import in_parallel


def test_results_come_in_the_order_of_the_numbers() -> None:
    assert in_parallel(4, lambda n: n * n) == [0, 1, 4, 9]


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        in_parallel(2, lambda n: 1 // n)


def test_threads_that_wait_for_each_other_are_told_of_and_hold_up_nothing() -> None:
    forever = threading.Event()
    with pytest.raises(TimeoutError, match=r"1 of 2 threads were stuck after 0\.1 seconds"):
        in_parallel(2, lambda n: n or forever.wait(), limit=0.1)
    forever.set()
