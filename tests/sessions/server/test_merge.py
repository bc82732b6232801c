"""Three-way merge of JSON values, by examples."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from sessionsite.sessions.server.merge import merge, merge_texts


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


# Lists


def test_two_visits_to_one_url_at_once_are_two_visits() -> None:
    base = {"visits": ["/home"]}
    ours = {"visits": ["/cart", "/home"]}
    theirs = {"visits": ["/cart", "/home"]}
    assert merge(base, ours, theirs) == {"visits": ["/cart", "/cart", "/home"]}


def test_two_repeated_visits_to_the_latest_url_are_two_visits() -> None:
    base = {"visits": ["/a", "/a", "/b"]}
    both = {"visits": ["/a", "/a", "/a", "/b"]}
    assert merge(base, both, both) == {"visits": ["/a", "/a", "/a", "/a", "/b"]}


def test_insertions_in_one_place_are_ours_then_theirs() -> None:
    assert merge(["m"], ["a", "b", "m"], ["c", "d", "m"]) == ["a", "b", "c", "d", "m"]
    assert merge(["m"], ["m", "a"], ["m", "b"]) == ["m", "a", "b"]
    assert merge(["m", "n"], ["m", "a", "n"], ["m", "b", "n"]) == ["m", "a", "b", "n"]
    assert merge(["x"], ["a"], ["b"]) == ["a", "b"]


def test_insertions_in_different_places_keep_their_places() -> None:
    assert merge(["m", "n"], ["m", "n", "a"], ["b", "m", "n"]) == ["b", "m", "n", "a"]


def test_flash_popped_by_one_side_and_appended_to_by_the_other() -> None:
    base = {"flash": ["saved", "welcome"]}
    popped: dict[str, Any] = {"flash": []}
    appended = {"flash": ["saved", "welcome", "sent"]}
    assert merge(base, popped, appended) == {"flash": ["sent"]}
    assert merge(base, appended, popped) == {"flash": ["sent"]}


def test_one_element_removed_by_both_sides_is_removed_once() -> None:
    assert merge(["a", "a", "a"], ["a", "a"], ["a", "a"]) == ["a", "a"]


def test_removals_of_both_sides_survive() -> None:
    assert merge(["a", "b", "c"], ["b", "c"], ["a", "b"]) == ["b"]


def test_full_histories_gain_each_visit_and_lose_the_oldest_once() -> None:
    base = ["/a", "/b", "/a", "/b", "/b"]
    ours = ["/c", *base[:-1]]
    theirs = ["/b", *base[:-1]]
    assert merge(base, ours, theirs) == ["/c", "/b", "/a", "/b", "/a", "/b"]


def test_histories_cut_by_one_and_by_two_are_cut_by_two() -> None:
    assert merge(["/a", "/b", "/a", "/b"], ["/a", "/b", "/a"], ["/a", "/b"]) == ["/a", "/b"]


def test_element_changed_by_one_side_is_removed_and_inserted() -> None:
    base = [{"id": 1, "n": 1}, {"id": 2, "n": 1}]
    ours = [{"id": 1, "n": 2}, {"id": 2, "n": 1}]
    theirs = [{"id": 1, "n": 1}, {"id": 2, "n": 3}]
    assert merge(base, ours, theirs) == [{"id": 1, "n": 2}, {"id": 2, "n": 3}]


def test_equal_insertions_into_a_list_inside_dictionaries_are_two() -> None:
    base = {"shop": {"cart": {"items": ["pen"], "open": False}}}
    both = {"shop": {"cart": {"items": ["pen", "ink"], "open": True}}}
    assert merge(base, both, both) == {
        "shop": {"cart": {"items": ["pen", "ink", "ink"], "open": True}}
    }


# Deletions


def test_logout_is_not_undone_by_a_change_of_what_it_deleted() -> None:
    base = {"user": {"id": 7, "seen": 1}, "theme": "dark"}
    logout = {"theme": "dark"}
    changed = {"user": {"id": 7, "seen": 2}, "theme": "dark"}
    assert merge(base, logout, changed) == {"theme": "dark"}
    assert merge(base, changed, logout) == {"theme": "dark"}


def test_deleted_scalar_stays_deleted_whatever_replaced_it() -> None:
    base = {"user": 7}
    for replacement in (8, None, [8], {"id": 8}):
        assert merge(base, {}, {"user": replacement}) == {}
        assert merge(base, {"user": replacement}, {}) == {}


def test_deleted_dictionary_stays_deleted_with_the_lists_in_it() -> None:
    base = {"shop": {"cart": ["pen"]}}
    added = {"shop": {"cart": ["pen", "ink"]}}
    assert merge(base, {}, added) == {}
    assert merge(base, added, {}) == {}


def test_deleted_list_keeps_only_what_the_other_side_inserted() -> None:
    base = {"flash": ["saved", "welcome"]}
    inserted = {"flash": ["new", "saved", "welcome", "sent"]}
    assert merge(base, {}, inserted) == {"flash": ["new", "sent"]}
    assert merge(base, inserted, {}) == {"flash": ["new", "sent"]}


@pytest.mark.parametrize("rest", [["saved"], ["welcome"], []])
def test_deleted_list_is_gone_when_the_other_side_only_removed(rest: list[str]) -> None:
    base = {"flash": ["saved", "welcome"]}
    assert merge(base, {}, {"flash": rest}) == {}
    assert merge(base, {"flash": rest}, {}) == {}


def test_deleted_empty_list_keeps_an_insertion() -> None:
    assert merge({"flash": []}, {}, {"flash": ["sent"]}) == {"flash": ["sent"]}
    assert merge({"flash": []}, {}, {"flash": []}) == {}


def test_list_emptied_by_one_side_stays_an_empty_list() -> None:
    assert merge({"flash": ["saved"]}, {"flash": []}, {"flash": ["saved"]}) == {"flash": []}


def test_list_deleted_by_one_side_and_replaced_by_the_other_takes_ours() -> None:
    assert merge({"flash": ["saved"]}, {}, {"flash": 0}) == {}
    assert merge({"flash": ["saved"]}, {"flash": 0}, {}) == {"flash": 0}


# Additions


def test_lists_added_by_both_sides_are_joined() -> None:
    assert merge({}, {"flash": ["a"]}, {"flash": ["b"]}) == {"flash": ["a", "b"]}
    assert merge({}, {"flash": ["a"]}, {"flash": ["a"]}) == {"flash": ["a", "a"]}
    assert merge({}, {"flash": []}, {"flash": []}) == {"flash": []}


def test_dictionaries_added_by_both_sides_merge_to_the_bottom() -> None:
    ours = {"shop": {"cart": {"items": ["pen"]}, "currency": "EUR"}}
    theirs = {"shop": {"cart": {"items": ["ink"]}, "currency": "USD", "ref": 3}}
    assert merge({}, ours, theirs) == {
        "shop": {"cart": {"items": ["pen", "ink"]}, "currency": "EUR", "ref": 3}
    }


def test_scalars_and_unlike_values_added_by_both_sides_take_ours() -> None:
    assert merge({}, {"k": 1}, {"k": 2}) == {"k": 1}
    assert merge({}, {"k": [1]}, {"k": {"a": 1}}) == {"k": [1]}


@pytest.mark.parametrize("empty", ["", 0, False, None, {}, []])
def test_empty_values_added_by_our_side_are_values_like_any_other(empty: Any) -> None:
    assert text(merge({}, {"k": empty}, {"k": "x"})) == text({"k": empty})
    assert text(merge({}, {"k": "x"}, {"k": empty})) == text({"k": "x"})


# Everything else


def test_value_changed_by_both_sides_takes_ours() -> None:
    assert merge({"n": 1}, {"n": 2}, {"n": 3}) == {"n": 2}
    assert merge({"n": [1]}, {"n": {"a": 1}}, {"n": [1, 2]}) == {"n": {"a": 1}}
    assert merge({"n": {"a": 1}}, {"n": {"a": 2}}, {"n": [1]}) == {"n": {"a": 2}}
    assert merge({"n": None}, {"n": [1]}, {"n": [2]}) == {"n": [1]}


@pytest.mark.parametrize(("old", "new"), [(True, 1), (1, True), (1, 1.0), (0, False), (0.0, 0)])
def test_values_equal_in_python_but_not_in_json_are_changes(old: Any, new: Any) -> None:
    assert text(merge({"k": old}, {"k": old}, {"k": new})) == text({"k": new})
    assert text(merge({"k": [old]}, {"k": [old]}, {"k": [new]})) == text({"k": [new]})
    assert text(merge({"k": [old]}, {"k": [old, "o"]}, {"k": [new]})) == text({"k": [new, "o"]})


def test_null_is_a_value_and_not_a_deletion() -> None:
    assert merge({"k": 1}, {"k": None}, {"k": 1}) == {"k": None}
    assert merge({"k": None}, {}, {"k": None}) == {}


def test_order_of_keys_is_no_change() -> None:
    base = {"dict": {"a": 1, "b": 2}, "list": [{"a": 1, "b": 2}]}
    reordered = {"list": [{"b": 2, "a": 1}], "dict": {"b": 2, "a": 1}}
    changed = {"dict": 0, "list": ["new"]}
    assert merge(base, reordered, changed) == changed
    assert merge(base, changed, reordered) == changed


def test_keys_stand_in_our_order_with_their_additions_last() -> None:
    merged = merge({"a": 1}, {"z": 1, "a": 1, "c": {"y": 1}}, {"b": 1, "a": 2, "c": {"x": 1}})
    assert list(merged) == ["z", "a", "c", "b"]
    assert list(merged["c"]) == ["y", "x"]


def test_dictionaries_nested_deeper_than_the_recursion_limit_merge() -> None:
    depth = 2 * sys.getrecursionlimit()
    base: dict[str, Any] = {}
    ours: dict[str, Any] = {"ours": 1}
    theirs: dict[str, Any] = {"theirs": 1}
    for _ in range(depth):
        base, ours, theirs = {"k": base}, {"k": ours}, {"k": theirs}
    merged = merge(base, ours, theirs)
    for _ in range(depth):
        merged = merged["k"]
    assert merged == {"ours": 1, "theirs": 1}


# Texts


def test_texts_merge_with_ours_before_theirs() -> None:
    assert merge_texts('{"l":["m"]}', '{"l":["m","o"],"k":1}', '{"l":["m","t"],"k":2}') == (
        '{"l":["m","o","t"],"k":1}'
    )
    assert merge_texts("{}", '{"k":1}', '{"k":2}') == '{"k":1}'


def test_a_text_without_changes_gives_way_as_it_is() -> None:
    theirs = '{"l": [1.0,  2]}'
    assert merge_texts('{"a":1}', '{"a":1}', theirs) == theirs
    assert merge_texts('{"a":1}', '{"a":2}', '{"a":1}') == '{"a":2}'


@pytest.mark.parametrize("theirs", ["", "[]", '{"a":NaN}', '{"_f_":1}', "[" * 100_000])
@pytest.mark.parametrize("ours", ['{"a":1}', '{"a":2}'])
def test_a_text_that_is_no_session_is_replaced_with_a_warning(
    ours: str, theirs: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert merge_texts('{"a":1}', ours, theirs) == ours
    assert "can't be merged with, and is replaced" in caplog.text


# Long lists

N = 100_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "element", [lambda n: n, lambda n: n % 10, str, lambda n: n / 7, lambda n: 0]
)
def test_a_hundred_thousand_elements_merge_in_little_memory(
    element: Callable[[int], Any], peak: Callable[[Callable[[], Any]], float]
) -> None:
    base = [element(n) for n in range(N)]
    ours, theirs = [*base, -1], [*base, -2]
    texts = [json.dumps({"log": each}, separators=(",", ":")) for each in (base, ours, theirs)]
    merged: list[str] = []
    assert peak(lambda: merged.append(merge_texts(*texts))) < 60_000_000
    assert json.loads(merged[0]) == {"log": [*base, -1, -2]}


def test_a_dictionary_of_many_lists_merges_each() -> None:
    base = {str(n): [n] for n in range(5000)}
    ours = {key: [*value, "o"] for key, value in base.items()}
    theirs = {key: ["t", *value] for key, value in base.items()}
    assert merge(base, ours, theirs) == {key: ["t", *v, "o"] for key, v in base.items()}


def test_numbers_chosen_for_their_hash_take_no_longer() -> None:
    # In a dict these collide, all with all; their texts do not.
    base = [n * (2**61 - 1) for n in range(20_000)]
    shuffled = base[1::2] + base[::2]
    assert merge(base, shuffled, [*base, 1]) == [*shuffled, 1]


def test_huge_elements_merge_like_small_ones() -> None:
    a, b, c = (letter * 10_000_000 for letter in "abc")
    assert merge([a, b], [b], [a, b, c]) == [b, c]
