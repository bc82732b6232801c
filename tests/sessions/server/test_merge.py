"""Three-way merge of JSON values: examples first, then properties."""

import copy
import json
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessionsite.sessions.merge import merge


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


# Properties

# A slow machine is no failure.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.text(max_size=3)
# Few keys and few values, so that three independent draws often meet.
keys = st.sampled_from("abc")
small = st.sampled_from([None, True, 1, 1.0, "x"])
json_values = st.recursive(
    small | scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=15,
)
json_objects = st.dictionaries(keys, json_values, max_size=3)
values = json_values | json_objects
values_without_list = st.recursive(
    small | scalars, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=10
)
letters = st.lists(st.sampled_from("AB"), max_size=12) | st.lists(st.sampled_from("ABC"))


@untimed
@given(values, values)
def test_change_on_our_side_alone_gives_our_side(base: Any, changed: Any) -> None:
    assert text(merge(base, changed, base)) == text(changed)


@untimed
@given(values, values)
def test_change_on_their_side_alone_gives_their_side(base: Any, changed: Any) -> None:
    assert text(merge(base, base, changed)) == text(changed)


@untimed
@given(values)
def test_merging_no_change_changes_nothing(base: Any) -> None:
    assert text(merge(base, base, base)) == text(base)


@untimed
@given(values, values, values)
def test_any_three_values_merge_to_json_that_is_the_same_each_time(
    base: Any, ours: Any, theirs: Any
) -> None:
    merged = merge(base, ours, theirs)
    assert text(json.loads(text(merged))) == text(merged)
    assert json.dumps(merge(base, ours, theirs)) == json.dumps(merged)


@untimed
@given(values, values, values)
def test_arguments_are_not_changed(base: Any, ours: Any, theirs: Any) -> None:
    before = copy.deepcopy((base, ours, theirs))
    merge(base, ours, theirs)
    assert json.dumps((base, ours, theirs)) == json.dumps(before)


@untimed
@given(json_objects, json_objects, json_objects, st.sets(keys))
def test_changes_of_different_keys_commute(
    base: dict[str, Any], one: dict[str, Any], other: dict[str, Any], our_keys: set[str]
) -> None:
    def take(changed: dict[str, Any], chosen: set[str]) -> dict[str, Any]:
        kept = {key: value for key, value in base.items() if key not in chosen}
        return kept | {key: value for key, value in changed.items() if key in chosen}

    their_keys = set("abc") - our_keys
    ours, theirs = take(one, our_keys), take(other, their_keys)
    expected = {key: value for key, value in ours.items() if key in our_keys} | {
        key: value for key, value in theirs.items() if key in their_keys
    }
    assert text(merge(base, ours, theirs)) == text(expected)
    assert text(merge(base, theirs, ours)) == text(expected)


@untimed
@given(values_without_list, values_without_list)
def test_like_change_of_what_holds_no_list_is_that_change(base: Any, both: Any) -> None:
    assert text(merge(base, both, both)) == text(both)
    assert text(merge({"k": base}, {"k": both}, {"k": both})) == text({"k": both})
    assert text(merge({}, {"k": both}, {"k": both})) == text({"k": both})
    assert merge({"k": base}, {}, {}) == {}


@untimed
@given(json_values, json_values)
def test_deletion_of_anything_but_a_list_wins(base: Any, changed: Any) -> None:
    if not isinstance(base, list):
        assert merge({"k": base}, {}, {"k": changed}) == {}
        assert merge({"k": base}, {"k": changed}, {}) == {}


Edit = tuple[set[int], list[list[str]]]  # Elements removed; values inserted before each place.


@st.composite
def edits_of_distinct_elements(draw: st.DrawFn) -> tuple[list[int], Edit, Edit]:
    base = list(range(draw(st.integers(0, 12))))
    removed: st.SearchStrategy[set[int]] = (
        st.sets(st.sampled_from(base)) if base else st.just(set())
    )
    places = len(base) + 1
    inserted = st.lists(
        st.lists(st.sampled_from("xyz"), max_size=2), min_size=places, max_size=places
    )
    edit = st.tuples(removed, inserted)
    return base, draw(edit), draw(edit)


def edited(base: list[int], removed: set[int], inserted: list[list[str]]) -> list[int | str]:
    result: list[int | str] = [*inserted[0]]
    for element, after in zip(base, inserted[1:], strict=True):
        result += [*([] if element in removed else [element]), *after]
    return result


@untimed
@given(edits_of_distinct_elements())
def test_list_ends_with_every_insertion_and_no_removed_element(
    case: tuple[list[int], Edit, Edit],
) -> None:
    base, (our_removed, our_inserted), (their_removed, their_inserted) = case
    merged = merge(
        base, edited(base, our_removed, our_inserted), edited(base, their_removed, their_inserted)
    )
    kept = [element for element in base if element not in our_removed | their_removed]
    assert [element for element in merged if isinstance(element, int)] == kept
    inserted = Counter(value for gap in our_inserted + their_inserted for value in gap)
    assert Counter(v for v in merged if isinstance(v, str)) == inserted


@untimed
@given(edits_of_distinct_elements())
def test_insertions_without_removals_are_in_place_with_ours_first(
    case: tuple[list[int], Edit, Edit],
) -> None:
    base, (_, our_inserted), (_, their_inserted) = case
    merged = merge(base, edited(base, set(), our_inserted), edited(base, set(), their_inserted))
    joined = [our + their for our, their in zip(our_inserted, their_inserted, strict=True)]
    assert merged == edited(base, set(), joined)


@untimed
@given(letters, letters, letters)
def test_count_of_a_repeated_element_is_within_what_both_sides_did(
    base: list[str], ours: list[str], theirs: list[str]
) -> None:
    merged = merge(base, ours, theirs)
    for value in "ABC":
        before, our, their = base.count(value), ours.count(value), theirs.count(value)
        # Of the removals, only those that both sides made are counted once instead of twice.
        assert merged.count(value) >= our + their - before
        assert merged.count(value) >= max(0, our - before) + max(0, their - before)
        assert merged.count(value) <= our + their


@untimed
@given(letters, letters, st.lists(st.tuples(st.integers(0, 50), st.sampled_from("ABC"))))
def test_side_that_only_inserted_adds_exactly_its_insertions(
    base: list[str], theirs: list[str], insertions: list[tuple[int, str]]
) -> None:
    ours = base.copy()
    for place, value in insertions:
        ours.insert(place, value)
    expected = Counter(theirs) + Counter(value for _, value in insertions)
    assert Counter(merge(base, ours, theirs)) == expected
    assert Counter(merge(base, theirs, ours)) == expected


@untimed
@given(letters, letters, letters)
def test_what_we_put_at_the_front_is_in_front_of_their_list(
    base: list[str], theirs: list[str], front: list[str]
) -> None:
    assert merge(base, front + base, theirs) == front + theirs


@untimed
@given(letters, st.integers(0, 12), st.integers(0, 12))
def test_lists_cut_at_the_end_by_both_sides_are_cut_to_the_shorter(
    base: list[str], our_length: int, their_length: int
) -> None:
    shorter = base[: min(our_length, their_length)]
    assert merge(base, base[:our_length], base[:their_length]) == shorter


@untimed
@given(letters.filter(bool), st.sampled_from("ABC"), st.sampled_from("ABC"))
def test_visit_added_by_each_side_to_a_full_history_is_there(
    base: list[str], our_visit: str, their_visit: str
) -> None:
    ours, theirs = [our_visit, *base[:-1]], [their_visit, *base[:-1]]
    # A side that equals the base shows no change: its visit cannot be told from the one it cut.
    if base not in (ours, theirs):
        assert merge(base, ours, theirs) == [our_visit, their_visit, *base[:-1]]
