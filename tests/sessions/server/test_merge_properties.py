"""Three-way merge of JSON values, by what holds for any of them."""

import copy
import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sessionsite.sessions.server.merge import merge
from tests.sessions.server import plain

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


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@given(values, values)
def test_change_on_our_side_alone_gives_our_side(base: Any, changed: Any) -> None:
    assert text(merge(base, changed, base)) == text(changed)


@given(values, values)
def test_change_on_their_side_alone_gives_their_side(base: Any, changed: Any) -> None:
    assert text(merge(base, base, changed)) == text(changed)


@given(values)
def test_merging_no_change_changes_nothing(base: Any) -> None:
    assert text(merge(base, base, base)) == text(base)


@given(values, values, values)
def test_any_three_values_merge_to_json_that_is_the_same_each_time(
    base: Any, ours: Any, theirs: Any
) -> None:
    merged = merge(base, ours, theirs)
    assert text(json.loads(text(merged))) == text(merged)
    assert json.dumps(merge(base, ours, theirs)) == json.dumps(merged)


@given(values, values, values)
def test_arguments_are_not_changed(base: Any, ours: Any, theirs: Any) -> None:
    before = copy.deepcopy((base, ours, theirs))
    merge(base, ours, theirs)
    assert json.dumps((base, ours, theirs)) == json.dumps(before)


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


@given(values_without_list, values_without_list)
def test_like_change_of_what_holds_no_list_is_that_change(base: Any, both: Any) -> None:
    assert text(merge(base, both, both)) == text(both)
    assert text(merge({"k": base}, {"k": both}, {"k": both})) == text({"k": both})
    assert text(merge({}, {"k": both}, {"k": both})) == text({"k": both})
    assert merge({"k": base}, {}, {}) == {}


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


@given(edits_of_distinct_elements())
def test_insertions_without_removals_are_in_place_with_ours_first(
    case: tuple[list[int], Edit, Edit],
) -> None:
    base, (_, our_inserted), (_, their_inserted) = case
    merged = merge(base, edited(base, set(), our_inserted), edited(base, set(), their_inserted))
    joined = [our + their for our, their in zip(our_inserted, their_inserted, strict=True)]
    assert merged == edited(base, set(), joined)


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


@given(letters, letters, letters)
def test_what_we_put_at_the_front_is_in_front_of_their_list(
    base: list[str], theirs: list[str], front: list[str]
) -> None:
    assert merge(base, front + base, theirs) == front + theirs


@given(letters, st.integers(0, 12), st.integers(0, 12))
def test_lists_cut_at_the_end_by_both_sides_are_cut_to_the_shorter(
    base: list[str], our_length: int, their_length: int
) -> None:
    shorter = base[: min(our_length, their_length)]
    assert merge(base, base[:our_length], base[:their_length]) == shorter


@given(letters.filter(bool), st.sampled_from("ABC"), st.sampled_from("ABC"))
def test_visit_added_by_each_side_to_a_full_history_is_there(
    base: list[str], our_visit: str, their_visit: str
) -> None:
    ours, theirs = [our_visit, *base[:-1]], [their_visit, *base[:-1]]
    # A side that equals the base shows no change: its visit cannot be told from the one it cut.
    if base not in (ours, theirs):
        assert merge(base, ours, theirs) == [our_visit, their_visit, *base[:-1]]


histories = st.lists(st.sampled_from("AB"), max_size=12) | st.lists(
    st.sampled_from("ABCDEFGHI"), max_size=12
)


@given(histories, histories, histories)
def test_lists_merge_as_one_would_write_it_down(
    base: list[str], ours: list[str], theirs: list[str]
) -> None:
    assert merge(base, ours, theirs) == plain.merged(base, ours, theirs)


@given(st.lists(small, max_size=8), st.lists(small, max_size=8), st.lists(small, max_size=8))
def test_so_do_lists_of_values_that_python_takes_for_equal(
    base: list[Any], ours: list[Any], theirs: list[Any]
) -> None:
    texts = [[text(each) for each in side] for side in (base, ours, theirs)]
    assert [text(each) for each in merge(base, ours, theirs)] == plain.merged(*texts)
