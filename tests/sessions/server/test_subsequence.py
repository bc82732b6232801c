"""What two lists have in common: each algorithm beside a plain one, and what each costs."""

import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sessionsite.sessions.server import subsequence
from sessionsite.sessions.server.subsequence import MAX_STEPS, Work, align
from sessionsite.sessions.store import MergeTooLargeError
from tests.sessions.server import plain

Pairs = list[tuple[int, int]]

alphabets = st.sampled_from(["A", "AB", "AB", "ABC", "ABCDEFGHIJ"])
Edit = tuple[bool, int, int]
edits = st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 9)), max_size=6)


def edited(base: list[str], changes: list[Edit], alphabet: str) -> list[str]:
    other = base.copy()
    for inserts, place, letter in changes:
        if inserts:
            other.insert(place % (len(other) + 1), alphabet[letter % len(alphabet)])
        elif other:
            del other[place % len(other)]
    return other


@st.composite
def two_lists(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Lists that have nothing to do with each other, or that a few edits lead to."""
    alphabet = draw(alphabets)
    letters = st.lists(st.sampled_from(alphabet), max_size=30)
    base = draw(letters)
    if draw(st.booleans()):
        return base, draw(letters)
    return base, edited(base, draw(edits), alphabet)


def pairs(blocks: list[subsequence.Block]) -> Pairs:
    assert blocks == sorted(blocks)
    return [(i + n, j + n) for i, j, length in blocks for n in range(length)]


def places_of(base: list[str]) -> dict[str, list[int]]:
    places = defaultdict(list)
    for i in reversed(range(len(base))):
        places[base[i]].append(i)
    return places


def by_few_edits(base: list[str], other: list[str]) -> Any:
    return subsequence._few_edits(base, other, 10**9)


def by_few_pairs(base: list[str], other: list[str]) -> Any:
    return subsequence._few_pairs(other, places_of(base))


def by_bits(base: list[str], other: list[str]) -> Any:
    return subsequence._bit_parallel(base, other, places_of(base))


def by_choice(base: list[str], other: list[str]) -> Any:
    return align(base, other, Work())


@pytest.mark.parametrize("algorithm", [by_few_edits, by_few_pairs, by_bits, by_choice])
@given(two_lists())
def test_each_algorithm_finds_what_a_table_finds(
    algorithm: Callable[[list[str], list[str]], Any], case: tuple[list[str], list[str]]
) -> None:
    base, other = case
    assume(algorithm is by_choice or set(base) & set(other))  # else there is nothing left to do
    assert pairs(algorithm(base, other)) == plain.pairs(base, other)


@given(two_lists())
def test_changes_in_one_direction_are_found_without_any_other_algorithm(
    case: tuple[list[str], list[str]],
) -> None:
    base, other = case
    both = plain.pairs(base, other)
    blocks = subsequence._one_way(base, other)
    if len(both) in (len(base), len(other)):
        assert blocks is not None
        assert pairs(blocks) == both
    else:
        assert blocks is None


def random_digits(length: int, seed: int, digits: int = 10) -> list[str]:
    source = random.Random(seed)
    return [str(source.randrange(digits)) for _ in range(length)]


def test_long_lists_of_few_values_are_found_like_short_ones() -> None:
    base, other = random_digits(700, 1), random_digits(900, 2)
    assert pairs(align(base, other, Work())) == plain.pairs(base, other)
    for mask_bits in (1, 1 << 27):  # each element's row computed at each turn, or kept
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subsequence, "_MASK_BITS", mask_bits)
            assert pairs(by_bits(base, other)) == plain.pairs(base, other)


def test_long_lists_of_many_values_are_found_like_short_ones() -> None:
    base, other = random_digits(700, 1, 2000), random_digits(900, 2, 2000)
    assert pairs(align(base, other, Work())) == plain.pairs(base, other)


N = 100_000
UNIQUE = [str(n) for n in range(N)]
FEW = [str(n % 10) for n in range(N)]
EQUAL = ["0"] * N
LINEAR = {
    "one appended": (UNIQUE, [*UNIQUE, "x"]),
    "one appended to repeats": (FEW, [*FEW, "3"]),
    "one prepended": (UNIQUE, ["x", *UNIQUE]),
    "as many appended": (FEW, FEW + FEW[::-1]),
    "one between any two": (UNIQUE, [each for text in UNIQUE for each in (text, "x")]),
    "all but the first half removed": (FEW, FEW[: N // 2]),
    "every other one removed": (UNIQUE, UNIQUE[::2]),
    "all equal, one more": (EQUAL, [*EQUAL, "0"]),
    "all equal, one fewer and another": (EQUAL, ["1", *EQUAL[1:]]),
    "nothing in common": (UNIQUE, [f"x{text}" for text in UNIQUE]),
    "cleared": (UNIQUE, []),
    "a history of two pages": (EQUAL[: N // 2] * 2, ["1", *EQUAL[1:]]),
    "a log cut at its start": (FEW, [*FEW[1:], "3"]),
    "a hundred changed": (FEW, [*FEW[:1000], *FEW[5:1100], *FEW[1003:]]),
}


@pytest.mark.parametrize("shape", LINEAR)
def test_the_usual_changes_of_long_lists_take_no_counted_step(shape: str) -> None:
    base, other = LINEAR[shape]
    found = pairs(align(base, other, Work(0)))
    assert all(base[i] == other[j] for i, j in found)
    assert found == sorted(set(found))


SPENT = {
    "reversed": (UNIQUE, UNIQUE[::-1], 1),
    "shuffled": (UNIQUE, random.Random(3).sample(UNIQUE, N), None),
    "the longest of single digits that fit 64 KB": (
        random_digits(32_000, 4), random_digits(32_000, 5), None,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("shape", SPENT)
def test_harder_changes_of_long_lists_stay_below_the_bound(shape: str) -> None:
    base, other, length = SPENT[shape]
    work = Work()
    found = pairs(align(base, other, work))
    assert 0 < MAX_STEPS - work.left <= MAX_STEPS
    assert all(base[i] == other[j] for i, j in found)
    assert found == sorted(set(found))
    assert length in (None, len(found))


REFUSED = {
    "other digits": (random_digits(N, 6), random_digits(N, 7)),
    "repeats reversed": (FEW, FEW[::-1]),
    "repeats sorted": (FEW, [*sorted(FEW)[1:], "0"]),
}


@pytest.mark.parametrize("shape", REFUSED)
def test_what_would_take_longer_is_refused(shape: str) -> None:
    with pytest.raises(MergeTooLargeError, match="a list in so many places"):
        align(*REFUSED[shape], Work())


class Counted:
    """Equal to none; counts how often somebody asks."""

    asked = 0

    def __eq__(self, other: object) -> bool:
        Counted.asked += 1
        return False

    __hash__ = object.__hash__


def test_the_search_for_few_edits_ends_after_its_steps() -> None:
    Counted.asked = 0
    one, other = ([Counted() for _ in range(5000)] for _ in range(2))
    assert subsequence._few_edits(one, other, 1000) is None
    assert Counted.asked < 2000


def test_long_runs_of_equals_count_as_steps() -> None:
    # Each of many diagonals has a run to the end; the lists differ in two places.
    base, other = ["a", *EQUAL, "b"], ["c", *EQUAL, "d"]
    assert subsequence._few_edits(base, other, 100) is None
    assert subsequence._few_edits(base, other, 100_000) is not None


def test_all_lists_of_a_merge_share_its_steps() -> None:
    work = Work(2500)
    base, other = random_digits(1000, 8), random_digits(1000, 9)
    for _ in range(2):
        align(base, other, work)
    assert work.left == 500
    with pytest.raises(MergeTooLargeError, match="1000 steps of 500"):
        align(base, other, work)
    assert work.left == 500
    assert align(base, [*base, "x"], work)


HOSTILE = LINEAR | {shape: lists[:2] for shape, lists in SPENT.items()} | REFUSED


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape", [pytest.param(s, marks=[] if s == "shuffled" else pytest.mark.all) for s in HOSTILE]
)
def test_no_lists_take_much_memory(shape: str, peak: Callable[[Callable[[], Any]], float]) -> None:
    def run() -> None:
        with suppress(MergeTooLargeError):
            align(*HOSTILE[shape], Work())

    assert peak(run) < 60_000_000
