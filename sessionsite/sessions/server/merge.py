"""Three-way merge of JSON values: what to store when a save finds a newer version of its row.

Called by `saving.py`. `merge` works on parsed JSON only (``dict``, ``list``, ``str``, ``int``,
``float``, ``bool``, ``None``), `merge_texts` on JSON texts; neither knows of sessions or stores.
"""

import json
import logging
from typing import Any

from ..payload import dumps, loads

log = logging.getLogger(__name__)

# A key that a dictionary does not have; None would be JSON's null.
_ABSENT: Any = object()

_encode = json.JSONEncoder(sort_keys=True).encode


def merge_texts(base: str, ours: str, theirs: str) -> str:
    """Return the JSON text that holds the changes from `base` to `ours` and to `theirs`.

    All three are texts of JSON objects. If `theirs` is none, it was edited by hand: a warning is
    logged, and `ours` is returned.
    """
    if theirs == base:
        return ours
    try:
        return dumps(merge(loads(base), loads(ours), loads(theirs)))
    except (ValueError, RecursionError) as exc:
        log.warning("What is stored can't be merged with, and is replaced: %s", exc)
        return ours


def merge(base: Any, ours: Any, theirs: Any) -> Any:
    """Return the JSON value that holds the changes from ``base`` to ``ours`` and to ``theirs``.

    ``base`` is what was loaded, ``ours`` what is to be stored, ``theirs`` what is stored now.
    No argument is changed; the result may share parts with all three. Any JSON values will do.

    * Values are equal when their JSON texts are: ``True``, ``1`` and ``1.0`` are three values.
    * Dictionaries merge key by key; a key that one side changed takes that side.
    * A deleted key stays deleted, even where the other side changed it, unless it held a list.
    * Lists merge as sequences of whole elements: what either side inserted is in the result,
      ours first in the same place, and equal insertions are two; what either side removed is
      not, and equal removals are one. A deleted list is the removal of each of its elements.
    * A key that both sides added merges as if its base were empty.
    * Anything else that both sides changed takes ours.

    The changes to a list come from a longest common subsequence, by the bit-parallel algorithm
    of H. Hyyrö, "Bit-parallel LCS-length computation revisited", AWOCA 2004 (after Crochemore
    et al., Information Processing Letters 80(6), 2001), with its rows kept to walk back over.
    For lists of n elements this takes about n * n / 8 bytes.
    """
    holder: dict[str, Any] = {}
    # A stack, not recursion: the depth is that of the stored data.
    pending = [(holder, "", base, ours, theirs)]
    while pending:
        target, key, base, ours, theirs = pending.pop()
        if base is _ABSENT and type(ours) is type(theirs) and isinstance(ours, dict | list):
            base = type(ours)()
        if all(isinstance(value, dict) for value in (base, ours, theirs)):
            merged: dict[str, Any] = {}
            target[key] = merged
            pending += [
                (merged, k, base.get(k, _ABSENT), ours.get(k, _ABSENT), theirs.get(k, _ABSENT))
                for k in reversed(ours | theirs)
            ]
        else:
            value = _merge_leaf(base, ours, theirs)
            if value is not _ABSENT:
                target[key] = value
    return holder[""]


def _merge_leaf(base: Any, ours: Any, theirs: Any) -> Any:
    """Merge values that are not all dictionaries; each may be ``_ABSENT``, and so the result."""
    if isinstance(base, list):
        ours_list = [] if ours is _ABSENT else ours
        theirs_list = [] if theirs is _ABSENT else theirs
        if isinstance(ours_list, list) and isinstance(theirs_list, list):
            merged = _merge_lists(base, ours_list, theirs_list)
            deleted = ours is _ABSENT or theirs is _ABSENT
            return _ABSENT if deleted and not merged else merged
    text = _text(base)
    if text == _text(ours):
        return theirs
    if text == _text(theirs):
        return ours
    if theirs is _ABSENT and not isinstance(base, list):
        return _ABSENT
    return ours


def _merge_lists(base: list[Any], ours: list[Any], theirs: list[Any]) -> list[Any]:
    base_texts, our_texts, their_texts = (
        [_text(element) for element in elements] for elements in (base, ours, theirs)
    )
    if base_texts == our_texts:
        return theirs
    if base_texts == their_texts:
        return ours
    our_inserted, our_removed = _changes(base_texts, our_texts)
    their_inserted, their_removed = _changes(base_texts, their_texts)
    removed = our_removed | their_removed
    merged = []
    for place in range(len(base) + 1):
        merged += [ours[index] for index in our_inserted.get(place, ())]
        merged += [theirs[index] for index in their_inserted.get(place, ())]
        if place < len(base) and place not in removed:
            merged.append(base[place])
    return merged


def _changes(base: list[str], other: list[str]) -> tuple[dict[int, list[int]], set[int]]:
    """Return the fewest insertions and removals that turn ``base`` into ``other``.

    The insertions are indexes in ``other``, by the index in ``base`` that they stand before; the
    removals are indexes in ``base``.
    """
    occurrences: dict[str, int] = {}
    for i, text in enumerate(base):
        occurrences[text] = occurrences.get(text, 0) | 1 << i
    ones = (1 << len(base)) - 1
    # Bit i of rows[j] is 0 where base[:i + 1] has a longer common subsequence with other[:j]
    # than base[:i] has.
    rows = [ones]
    for text in other:
        row = rows[-1]
        matches = row & occurrences.get(text, 0)
        rows.append((row + matches | row - matches) & ones)

    inserted: dict[int, list[int]] = {}
    removed: set[int] = set()
    i, j = len(base), len(other)
    # Among equally short edits this order finds removals nearest the end and insertions nearest
    # the start, which is how a history, newest first and cut to a length, changes. Hence the
    # common start and end are not trimmed: that would find them elsewhere in a run of equals.
    while i or j:
        if i and rows[j] >> (i - 1) & 1:
            i -= 1
            removed.add(i)
        elif i and base[i - 1] == other[j - 1]:
            i -= 1
            j -= 1
        else:
            j -= 1
            inserted.setdefault(i, []).insert(0, j)
    return inserted, removed


def _text(value: Any) -> str:
    return "" if value is _ABSENT else _encode(value)
