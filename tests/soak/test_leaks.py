"""What is left behind is found; what may be there is not."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.soak.leaks import OLD, POOL, Quiet, Usage, grown, leaks
from tests.soak.ledger import Ledger, Visit
from tests.soak.report import longest_gap, silence


def process(memory: Callable[[int], float], seconds: int = 200, **last: int) -> list[Usage]:
    """One sample per second."""
    samples = [Usage(float(n), memory(n), 10, 6) for n in range(seconds)]
    end = {"files": 10, "threads": 6, **last}
    return [*samples, Usage(float(seconds), memory(seconds), **end)]


def steady(_: int) -> float:
    return 60.0


def test_what_may_be_there_is_no_leak() -> None:
    quiet = Quiet(
        backends=[(number, "idle") for number in range(POOL)],
        processes={1: process(steady, files=10 + POOL, threads=7)},
    )
    assert leaks(quiet) == []


@pytest.mark.parametrize(
    ("quiet", "found"),
    [
        (Quiet([(5, "idle")]), "1 backends, more than 0 of the pools"),
        (Quiet([(5, "idle in transaction")], processes={1: process(steady)}), "backend 5 is idle "),
        (Quiet([(5, "active")], processes={1: process(steady)}), "backend 5 is active"),
        (Quiet(locks=[("advisory", "ExclusiveLock", 2)]), "2 locks ExclusiveLock on advisory"),
        (Quiet(left=[(5, "idle")]), "backend 5 has outlived its process (idle)"),
        (Quiet(expired=3), "3 expired rows were not pruned"),
        (Quiet(processes={1: process(steady, files=30)}), "process 1 has 30 files open, 10 at "),
        (Quiet(processes={1: process(steady, threads=9)}), "process 1 has 9 threads, 6 at its"),
        (Quiet(processes={1: process(lambda n: 60 + n / 10)}), "process 1 has grown by 1"),
    ],
)
def test_a_leak_is_found(quiet: Quiet, found: str) -> None:
    (leak,) = leaks(quiet)
    assert leak.startswith(found)


def test_growth_is_told_of_processes_that_are_old_and_warm() -> None:
    assert grown(process(steady, int(OLD) - 20)) is None
    assert grown(process(lambda n: 20.0 if n < 30 else 60.0)) == 0  # it warms up
    growth = grown(process(lambda n: n / 10))
    assert growth is not None
    assert 11 < growth < 13


def test_the_longest_gap_is_that_around_the_fault() -> None:
    answered = [0.0, 1.0, 1.5, 4.0, 4.5, 10.0]
    assert longest_gap(answered, 1.2, 1.3) == 0.5
    assert longest_gap(answered, 1.6, 4.2) == 2.5
    assert longest_gap(answered, 0.0, 9.0) == max(b - a for a, b in pairwise(answered))
    assert longest_gap([], 0.0, 9.0) == 0


def test_a_site_that_answers_nothing_for_long_is_a_fault() -> None:
    ledger = Ledger([Visit(f"1.{end}", 0, ended=end, status=200) for end in (1, 2, 40)])
    ledger.visits.append(Visit("1.9", 0, ended=20, status=503))
    assert silence(ledger, 38) == []
    assert silence(ledger, 37) == ["there was no page for 38 seconds"]
