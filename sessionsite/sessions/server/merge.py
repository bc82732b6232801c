"""Three-way merge of JSON values: what to store when a save finds a newer version of its row.

Called by `saving.py`. `merge` works on parsed JSON only (``dict``, ``list``, ``str``, ``int``,
``float``, ``bool``, ``None``), `merge_texts` on JSON texts; neither knows of sessions or stores.
"""

import json
import logging
from collections.abc import Sequence
from itertools import compress
from typing import Any

from ..payload import dumps, loads
from .subsequence import Work, align

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
        newest = loads(theirs)
        return theirs if ours == base else dumps(merge(loads(base), loads(ours), newest))
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

    `subsequence.py` finds out what each side did to a list, in bounded time and memory. Raises
    `MergeTooLargeError` where that bound is not enough.
    """
    holder: dict[str, Any] = {}
    work = Work()
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
            value = _merge_leaf(base, ours, theirs, work)
            if value is not _ABSENT:
                target[key] = value
    return holder[""]


def _merge_leaf(base: Any, ours: Any, theirs: Any, work: Work) -> Any:
    """Merge values that are not all dictionaries; each may be ``_ABSENT``, and so the result."""
    if isinstance(base, list):
        ours_list = [] if ours is _ABSENT else ours
        theirs_list = [] if theirs is _ABSENT else theirs
        if isinstance(ours_list, list) and isinstance(theirs_list, list):
            merged = _merge_lists(base, ours_list, theirs_list, work)
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


def _merge_lists(base: list[Any], ours: list[Any], theirs: list[Any], work: Work) -> list[Any]:
    base_keys, our_keys, their_keys = _comparable(base, ours, theirs)
    if base_keys == our_keys:
        return theirs
    if base_keys == their_keys:
        return ours
    keep = bytearray(b"\1") * len(base)
    inserted: dict[int, list[Any]] = {}  # by the place in `base` that they stand before
    for side, keys in ((ours, our_keys), (theirs, their_keys)):
        i = j = 0
        end = (len(base), len(side), 0)
        for block_i, block_j, length in [*align(base_keys, keys, work), end]:
            if j < block_j:
                inserted.setdefault(i, []).extend(side[j:block_j])
            keep[i:block_i] = bytes(block_i - i)
            i, j = block_i + length, block_j + length
    merged: list[Any] = []
    start = 0
    for place in sorted(inserted):
        merged += compress(base[start:place], keep[start:place])
        merged += inserted[place]
        start = place
    merged += compress(base[start:], keep[start:])
    return merged


def _comparable(*lists: list[Any]) -> Sequence[list[Any]]:
    """Return the lists with elements that are equal where their JSON texts are."""
    types = set[type]().union(*(map(type, elements) for elements in lists))
    if types <= {int, str}:
        return lists
    # `repr` tells True, 1 and 1.0 apart like JSON, and takes a tenth of the time.
    return [
        [_encode(each) if type(each) in (dict, list) else repr(each) for each in elements]
        for elements in lists
    ]


def _text(value: Any) -> str:
    return "" if value is _ABSENT else _encode(value)
