"""What two lists have in common: a longest common subsequence, always the same one.

Called by `merge.py`. Of the longest ones `align` finds the one that removes elements nearest the
end and inserts them nearest the start, which is how a history, newest first and cut to a length,
changes. So the common start and end of two lists are not trimmed off: that would find the changes
elsewhere in a run of equals.

Changes in one direction, appends for example, take linear time. For the others `Work` counts steps,
and the cheapest of three algorithms finds them, each in little memory:

* few edits: E. W. Myers, "An O(ND) difference algorithm and its variations", Algorithmica 1 (1986);
* few pairs of equals: J. W. Hunt and T. G. Szymanski, "A fast algorithm for computing longest
  common subsequences", Communications of the ACM 20(5), 1977;
* else: H. Hyyrö, "Bit-parallel LCS-length computation revisited", AWOCA 2004. It keeps one row in
  so many, and computes those between them again on the way back.
"""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import isqrt
from typing import Any, TypeVar

from ..store import MergeTooLargeError

T = TypeVar("T")
# About 0.2 seconds of one core of 2020, at 0.4 µs per step.
MAX_STEPS = 500_000
_MASK_BITS = 1 << 27  # 16 MiB of rows with a bit for each place of one element
# What a step does: look at one pair of equals, or at one diagonal, or at so many …
_ELEMENTS_PER_STEP = 64  # that are compared at once
_BITS_PER_STEP = 4_000  # of a row

Block = tuple[int, int, int]
"""Where equal elements begin in one list, where in the other, and how many there are."""


class Work:
    """The steps that are left for all the lists of one merge."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take `steps` off. Raises `MergeTooLargeError` if fewer are left."""
        if steps > self.left:
            raise MergeTooLargeError(
                "requests that ran at once have changed a list in so many places that a merge "
                f"would take too long: {steps} steps of {self.left}"
            )
        self.left -= steps


def align(base: list[T], other: list[T], work: Work) -> list[Block]:
    """Return the blocks, in ascending order, that make up a longest common subsequence.

    Elements are equal where their `repr` is.
    Raises `MergeTooLargeError`.
    """
    blocks = _one_way(base, other)
    if blocks is not None:
        return blocks
    # Texts, since numbers can be chosen to have one hash.
    base_texts, other_texts = (list(map(repr, elements)) for elements in (base, other))
    # What only one list has is no part of it; the rest gets numbers, which are faster to compare.
    shared = set(base_texts).intersection(other_texts)
    numbers = {text: number for number, text in enumerate(shared)}
    base_numbers, other_numbers = (
        list(map(numbers.get, texts)) for texts in (base_texts, other_texts)
    )
    if None not in base_numbers and None not in other_numbers:
        return _both_ways(base_numbers, other_numbers, work)
    base_places, other_places = (
        [place for place, number in enumerate(those) if number is not None]
        for those in (base_numbers, other_numbers)
    )
    base_numbers = [base_numbers[place] for place in base_places]
    other_numbers = [other_numbers[place] for place in other_places]
    blocks = _one_way(base_numbers, other_numbers)
    if blocks is None:
        blocks = _both_ways(base_numbers, other_numbers, work)
    return _spread(blocks, base_places, other_places)


def _spread(blocks: list[Block], base_places: list[int], other_places: list[int]) -> list[Block]:
    """Return `blocks` with indexes of the whole lists, split where these have gaps."""
    spread: list[Block] = []
    pending = blocks[::-1]
    while pending:
        i, j, length = pending.pop()
        last = length - 1
        if (
            base_places[i + last] - base_places[i] == last
            and other_places[j + last] - other_places[j] == last
        ):
            spread.append((base_places[i], other_places[j], length))
        else:
            half = length // 2
            pending += [(i + half, j + half, length - half), (i, j, half)]
    return spread


def _one_way(base: list[T], other: list[T]) -> list[Block] | None:
    """Return the blocks if there are only insertions, or only removals; else None."""
    if len(base) > len(other):
        blocks = _embed(other, base)
        return blocks and [(i, j, length) for j, i, length in blocks]
    # From the end, so that the insertions are nearest the start.
    blocks = _embed(base[::-1], other[::-1])
    return blocks and [
        (len(base) - i - length, len(other) - j - length, length) for i, j, length in blocks[::-1]
    ]


def _embed(short: list[T], long: list[T]) -> list[Block] | None:
    """Return the first places in `long` for all of `short`, in its order; None if it has none."""
    blocks: list[Block] = []
    i = j = 0
    try:
        while i < len(short):
            j = long.index(short[i], j)
            length = _run(short, i, long, j, len(short))
            blocks.append((i, j, length))
            i += length
            j += length
    except ValueError:
        return None
    return blocks


def _run(one: list[T], i: int, other: list[T], j: int, most: int) -> int:
    """Return how many elements from `one[i]` on equal those from `other[j]` on, up to `most`."""
    most = min(most, len(one) - i, len(other) - j)
    length, step = 0, 1
    # Slices are compared in C, so the steps double for as long as they succeed.
    while (step := min(step, most - length)) > 0:
        here, there = i + length, j + length
        if one[here : here + step] == other[there : there + step]:
            length += step
            step *= 2
        else:
            step //= 2
    return length


def _both_ways(base: list[T], other: list[T], work: Work) -> list[Block]:
    blocks = _few_edits(base, other, 20 + (len(base) + len(other)) // 2)
    if blocks is not None:
        return blocks
    places: defaultdict[T, list[int]] = defaultdict(list)
    for i in reversed(range(len(base))):
        places[base[i]].append(i)
    pairs = sum(len(places[element]) for element in other)
    rows = len(other) * (1 + len(base) // _BITS_PER_STEP)
    work.spend(min(pairs, rows))
    if pairs < rows:
        return _few_pairs(other, places)
    return _bit_parallel(base, other, places)


def _few_edits(base: list[T], other: list[T], steps: int) -> list[Block] | None:
    """Myers' greedy algorithm; None if it needs more than `steps`.

    The time grows with the square of the number of edits.
    """
    rows = _reached(base, other, steps)
    if rows is None:
        return None
    base_back, other_back = base[::-1], other[::-1]
    blocks: list[Block] = []
    i, j = len(base), len(other)
    for edits in reversed(range(len(rows))):
        # A removal as soon as one can be, which is as near the end as it can be.
        n = (edits + i - j) // 2
        removable = rows[edits - 1][n - 1] + 1 if edits and n else 0
        length = _run(base_back, len(base) - i, other_back, len(other) - j, i - removable)
        i -= length
        j -= length
        if length:
            blocks.append((i, j, length))
        if 0 < i <= removable:
            i -= 1
        else:
            j -= 1
    return blocks[::-1]


def _reached(base: list[T], other: list[T], steps: int) -> list[Sequence[int]] | None:
    """Return how far each number of edits gets, up to the number that gets to the end.

    Row `edits` has at `n` how many elements of `base` so many edits can pass, of which those passed
    are `2 * n - edits` more than those of `other`. Both lists are taken to go on for ever, with
    elements that equal none: that changes nothing within them. None if it takes over `steps`.
    """
    rows: list[Sequence[int]] = []
    row = [0]
    while True:
        edits = len(rows)
        steps -= len(row)
        for n, i in enumerate(row):
            j = i - 2 * n + edits
            if i < len(base) and j < len(other) and base[i] == other[j]:
                length = _run(base, i, other, j, len(base))
                row[n] += length
                steps -= 2 + length // _ELEMENTS_PER_STEP
        rows.append(array("l", row))
        n = (edits + len(base) - len(other)) // 2
        if 2 * n - edits == len(base) - len(other) and 0 <= n <= edits and row[n] >= len(base):
            return rows
        if steps < 0:
            return None
        # Each is reached by an insertion, or by a removal, which passes one of `base`.
        removed = [i + 1 for i in row]
        row = [row[0], *map(max, row[1:], removed), removed[-1]]


def _few_pairs(other: list[T], places: Mapping[T, list[int]]) -> list[Block]:
    """Hunt and Szymanski's algorithm. `places` has those in `base`, the last one first."""
    # ends[k]: the shortest start of `base` that has k + 1 elements in common with `other` so far
    ends: list[int] = []
    # chains[k]: the last pair of those, as near the end of `other` as it can be, and its chain
    chains: list[Any] = []
    for j, element in enumerate(other):
        for i in places.get(element, ()):
            k = bisect_left(ends, i)
            chain = (i, j, chains[k - 1] if k else None)
            if k < len(ends):
                ends[k], chains[k] = i, chain
            else:
                ends.append(i)
                chains.append(chain)
    blocks: list[Block] = []
    chain = chains[-1]
    while chain:
        i, j, chain = chain
        blocks.append((i, j, 1))
    return blocks[::-1]


def _bit_parallel(base: list[T], other: list[T], places: Mapping[T, list[int]]) -> list[Block]:
    """Hyyrö's algorithm. `places` has those in `base`.

    Bit i of row j is 0 where base[:i + 1] has more in common with other[:j] than base[:i] has.
    """

    @lru_cache(maxsize=1 + _MASK_BITS // len(base))
    def mask(element: T) -> int:
        bits = bytearray(len(base) // 8 + 1)
        for i in places[element]:
            bits[i >> 3] |= 1 << (i & 7)
        return int.from_bytes(bits, "little")

    def next_row(row: int, element: T) -> int:
        matches = row & mask(element)
        return row + matches | row - matches  # what is carried beyond the last bit is not read

    every = isqrt(len(other)) + 1
    row = (1 << len(base)) - 1
    kept = [row]
    for j, element in enumerate(other, 1):
        row = next_row(row, element)
        if j % every == 0:
            kept.append(row)

    blocks: list[Block] = []
    i, j = len(base), len(other)
    while kept:
        start = every * (len(kept) - 1)
        rows = [kept.pop() & (1 << i) - 1]
        for element in other[start:j]:
            rows.append(next_row(rows[-1], element))
        while i and j > start:
            if rows[j - start] >> (i - 1) & 1:
                i -= 1
            elif base[i - 1] == other[j - 1]:
                i -= 1
                j -= 1
                blocks.append((i, j, 1))
            else:
                j -= 1
        j = min(j, start)
    return blocks[::-1]
