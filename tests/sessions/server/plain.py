"""The merge of two lists as one would write it down: a table, and a walk back over it."""

from collections.abc import Sequence
from typing import Any


def pairs(base: Sequence[Any], other: Sequence[Any]) -> list[tuple[int, int]]:
    """Where equal elements of a longest common subsequence are, in both lists.

    Of the longest ones that which removes nearest the end, and inserts nearest the start.
    """
    common = [[0] * (len(other) + 1) for _ in range(len(base) + 1)]
    for i, element in enumerate(base):
        for j, another in enumerate(other):
            common[i + 1][j + 1] = (
                common[i][j] + 1 if element == another else max(common[i][j + 1], common[i + 1][j])
            )
    found = []
    i, j = len(base), len(other)
    while i and j:
        if common[i][j] == common[i - 1][j]:
            i -= 1
        elif base[i - 1] == other[j - 1]:
            i -= 1
            j -= 1
            found.append((i, j))
        else:
            j -= 1
    return found[::-1]


def merged(base: Sequence[Any], ours: Sequence[Any], theirs: Sequence[Any]) -> list[Any]:
    """All insertions in their places, ours first, and what neither side has removed."""
    inserted: list[list[Any]] = [[] for _ in range(len(base) + 1)]
    kept = set(range(len(base)))
    for side in (ours, theirs):
        same = pairs(base, side)
        kept &= {i for i, _ in same}
        starts = [(0, 0), *((i + 1, j + 1) for i, j in same)]
        ends = [*(j for _, j in same), len(side)]
        for (place, start), end in zip(starts, ends, strict=True):
            inserted[place] += side[start:end]
    result = [*inserted[0]]
    for i, element in enumerate(base):
        result += [*([element] if i in kept else []), *inserted[i + 1]]
    return result
