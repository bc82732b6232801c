"""The cart by itself, on a session without an app."""

from shop import cart

from sessionsite.testing import DummySession


def test_a_tea_is_counted_and_removed() -> None:
    session = DummySession()
    cart.add(session, "assam")
    cart.add(session, "assam")
    assert session["cart"] == {"assam": 2}
    cart.remove(session, "assam")
    cart.remove(session, "sencha")
    assert session.again()["cart"] == {}


def test_there_is_an_end_to_it() -> None:
    session = DummySession({"cart": {"assam": cart.MOST}})
    cart.add(session, "assam")
    assert session["cart"] == {"assam": cart.MOST}


def test_parallel_requests_all_count() -> None:
    session = DummySession({"cart": {"assam": 1}})
    parallel = [session.again() for _ in range(3)]  # each has read the session as it is
    for each in parallel:
        cart.add(each, "assam")
    assert session.again()["cart"] == {"assam": 4}


def test_a_tea_that_is_removed_in_parallel_stays_removed() -> None:
    session = DummySession({"cart": {"assam": 1}})
    one, two = session.again(), session.again()
    cart.remove(one, "assam")
    one.save()
    cart.add(two, "sencha")
    assert session.again()["cart"] == {"sencha": 1}


def test_what_parallel_requests_look_at_is_all_kept() -> None:
    session = DummySession({"seen": ["assam"]})
    one, two = session.again(), session.again()
    cart.look_at(one, "sencha")
    cart.look_at(two, "oolong")
    one.save()
    two.save()
    assert sorted(session.again()["seen"]) == ["assam", "oolong", "sencha"]


def test_the_list_of_what_was_seen_is_short_and_repeats_nothing_at_once() -> None:
    session = DummySession()
    for number in range(2 * cart.KEPT):
        cart.look_at(session, str(number // 2))
    assert session["seen"] == ["5", "4", "3", "2", "1", "0"]
    cart.look_at(session, "6")
    assert session["seen"] == ["6", "5", "4", "3", "2", "1"]


def test_an_order_is_begun_with_the_same_key_until_it_has_ended() -> None:
    session = DummySession({"cart": {"assam": 2}})
    begun = cart.begin_order(session)
    assert begun is not None
    assert cart.begin_order(session.again()) == begun
    cart.end_order(False, session, *begun)
    assert cart.begin_order(session) == begun
    cart.end_order(True, session, *begun)
    assert cart.begin_order(session) is None
    assert len(session.pop_flash()) == 1


def test_what_is_added_while_an_order_is_placed_stays() -> None:
    session = DummySession({"cart": {"assam": 2, "sencha": 1}})
    begun = cart.begin_order(session)
    assert begun is not None
    for product in ("assam", "oolong"):
        cart.add(session, product)
    cart.end_order(True, session, *begun)
    assert session["cart"] == {"assam": 1, "oolong": 1}


def test_of_two_clicks_one_takes_the_tea_out() -> None:
    session = DummySession({"cart": {"assam": 2}})
    one, two = session.again(), session.again()
    begun = cart.begin_order(one)
    assert begun is not None
    assert cart.begin_order(two) == begun
    for each in (one, two):
        cart.end_order(True, each, *begun)
        cart.add(session, "assam")
    after = session.again()
    assert (after["cart"], len(after.pop_flash())) == ({"assam": 2}, 1)
