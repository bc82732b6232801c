"""The app, with WebTest: what a visitor does in it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from shop.models import Order, OrderLine, User
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session
from webtest import TestApp

from sessionsite.testing import session

Visit = Callable[[], TestApp]


def log_in(
    visitor: TestApp, name: str = "ann", *, remember: bool = False, path: str = "/login"
) -> Any:
    form = visitor.get(path).forms[0]
    form["name"], form["password"] = name, {"ann": "tea for two", "bob": "two for tea"}[name]
    form["remember"] = remember
    return form.submit(status=303)


def press(page: Any, action: str, **values: str) -> Any:
    """Submit the page's first form with this action, and this value of a field."""
    forms = [form for form in page.forms.values() if form.action == action]
    wanted = [f for f in forms if all(f[name].value == v for name, v in values.items())]
    return wanted[0].submit()


def orders_of(dbsession: Session, name: str) -> int:
    found = select(func.count()).select_from(Order).join(User).where(User.name == name)
    return dbsession.scalar(found) or 0


def test_a_visitor_looks_around_and_fills_a_cart(testapp: TestApp) -> None:
    home = testapp.get("/")
    assert "You looked at" not in home.text
    home.click("Sencha", index=0)
    assert "You looked at" in testapp.get("/").text
    page = press(home, "/cart/add", id="sencha").follow()
    assert "Sencha is in your cart." in page.text
    assert "1 × €" in page.text
    page = press(page, "/cart/remove").follow()
    assert "Nothing yet" in page.text


def test_the_cart_outlives_the_login_and_ends_with_the_logout(testapp: TestApp) -> None:
    with session(testapp) as data:
        data["cart"] = {"assam": 2}
    assert "Welcome, ann." in log_in(testapp).follow().text
    page = testapp.get("/cart")
    assert "2 × €" in page.text
    page = press(page, "/logout").follow()
    assert "You are logged out." in page.text
    with session(testapp) as data:
        assert (data.owner, data.get("cart")) == (None, None)


def test_a_login_gives_a_new_token_and_the_device_its_name(testapp: TestApp) -> None:
    testapp.get("/")
    before = dict(testapp.cookies)
    log_in(testapp)
    assert testapp.cookies != before
    with session(testapp) as data:
        assert data.label == "Firefox on Linux"


@pytest.mark.parametrize(("name", "password"), [("ann", "wrong"), ("nobody", "tea for two")])
def test_a_wrong_password_logs_nobody_in(testapp: TestApp, name: str, password: str) -> None:
    form = testapp.get("/login").forms[0]
    form["name"], form["password"] = name, password
    assert "do not match" in form.submit(status=422).text
    with session(testapp) as data:
        assert data.owner is None


def test_who_is_remembered_comes_back(visit: Visit, travel: Callable[[float], datetime]) -> None:
    phone, library = visit(), visit()
    log_in(phone, remember=True)
    log_in(library)
    travel(29 * 86400)
    phone.get("/orders", status=200)
    library.get("/orders", status=303)
    travel(86400)
    phone.get("/orders", status=303)


def test_a_cart_ends_with_its_session(
    testapp: TestApp, expired: Callable[[TestApp], TestApp]
) -> None:
    with session(testapp) as data:
        data["cart"] = {"assam": 2}
    assert "Nothing yet" in expired(testapp).get("/cart").text


def test_a_stranger_is_asked_to_log_in_first_and_then_goes_on(testapp: TestApp) -> None:
    with session(testapp) as data:
        data["cart"] = {"assam": 1}
    page = press(testapp.get("/cart"), "/checkout").follow()
    form = page.forms[0]
    form["name"], form["password"] = "ann", "tea for two"
    assert form.submit().location == "http://localhost/cart"


def test_a_login_leads_to_no_other_site(testapp: TestApp) -> None:
    assert log_in(testapp, path="/login?next=//evil.example").location == "http://localhost/"


def test_an_order_is_placed_once(testapp: TestApp, dbsession: Session) -> None:
    log_in(testapp)
    placed = orders_of(dbsession, "ann")
    with session(testapp) as data:
        data["cart"] = {"assam": 2, "sold-no-more": 1}
    page = testapp.get("/cart")
    assert "Thank you." in press(page, "/checkout").follow().text
    assert press(page, "/checkout").location == "http://localhost/cart"
    dbsession.rollback()
    assert orders_of(dbsession, "ann") == placed + 1
    with session(testapp) as data:
        assert data["cart"] == {"sold-no-more": 1}


def test_an_order_that_fails_leaves_the_cart_and_is_the_same_order_later(
    app: Any, testapp: TestApp, dbsession: Session
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    log_in(testapp)
    placed = orders_of(dbsession, "ann")
    with session(testapp) as data:
        data["cart"] = {"oolong": 1}
    page = testapp.get("/cart")
    event.listen(app.registry["make_dbsession"], "before_commit", fail)
    try:
        with pytest.raises(ZeroDivisionError):
            press(page, "/checkout")
    finally:
        event.remove(app.registry["make_dbsession"], "before_commit", fail)
    with session(testapp) as data:
        key = data["order_key"]
        assert (data["cart"], data.peek_flash()) == ({"oolong": 1}, [])
    dbsession.rollback()
    assert orders_of(dbsession, "ann") == placed
    press(page, "/checkout")
    dbsession.rollback()
    assert dbsession.scalar(select(Order).where(Order.key == key)) is not None
    with session(testapp) as data:
        assert data["cart"] == {}


def test_a_click_that_comes_second_is_tried_again_and_finds_the_order(
    app: Any, testapp: TestApp, dbsession: Session
) -> None:
    def be_first(session: Session, *_: Any) -> None:
        (order,) = (each for each in session.new if isinstance(each, Order))
        lines = [OrderLine(product_id="oolong", quantity=1, price=1)]
        dbsession.add(Order(key=order.key, user_id=order.user.id, lines=lines))
        dbsession.commit()

    log_in(testapp)
    placed = orders_of(dbsession, "ann")
    dbsession.rollback()
    with session(testapp) as data:
        data["cart"] = {"oolong": 1}
    page = testapp.get("/cart")
    event.listen(app.registry["make_dbsession"], "before_flush", be_first, once=True)
    assert "Thank you." in press(page, "/checkout").follow().text
    assert orders_of(dbsession, "ann") == placed + 1
    with session(testapp) as data:
        assert data["cart"] == {}


def test_an_order_whose_end_was_lost_is_not_placed_again(
    testapp: TestApp, dbsession: Session
) -> None:
    """The process died after the commit, and before the session was told."""
    log_in(testapp, "bob")
    with session(testapp) as data:
        data["cart"] = {"oolong": 1}
    press(testapp.get("/cart"), "/checkout")
    (order,) = dbsession.scalars(select(Order).order_by(Order.id.desc()).limit(1))
    placed = orders_of(dbsession, "bob")
    with session(testapp) as data:
        data["cart"], data["order_key"] = {"oolong": 1}, order.key
    press(testapp.get("/cart"), "/checkout")
    dbsession.rollback()
    assert orders_of(dbsession, "bob") == placed
    with session(testapp) as data:
        assert data["cart"] == {}


def test_a_user_ends_one_device_and_then_all(visit: Visit) -> None:
    home, phone, stranger = visit(), visit(), visit()
    for visitor, name in ((home, "bob"), (phone, "bob"), (stranger, "ann")):
        log_in(visitor, name)
    with session(phone) as data:
        page = home.get("/devices")
        assert "this one" in page.text
        page = press(page, "/devices/end", id=data.id).follow()
    assert "That device is logged out." in page.text
    phone.get("/devices", status=303)
    log_in(phone, "bob")
    press(home.get("/devices"), "/devices/everywhere")
    for visitor in (home, phone):
        visitor.get("/devices", status=303)
    stranger.get("/devices", status=200)


@pytest.mark.parametrize("path", ["/cart/add", "/cart/remove", "/checkout", "/logout", "/login"])
def test_a_form_without_the_token_changes_nothing(testapp: TestApp, path: str) -> None:
    log_in(testapp)
    answer = testapp.post(path, {"id": "assam", "csrf_token": "wrong"}, status=400)
    assert "Nothing was changed." in answer.text
    with session(testapp) as data:
        assert (data.owner is None, data.get("cart")) == (False, None)


def test_what_is_not_there_is_a_page(testapp: TestApp) -> None:
    assert "There is no page" in testapp.get("/teas/coffee", status=404).text
    token = testapp.get("/").forms[0]["csrf_token"].value
    testapp.post("/cart/add", {"id": "coffee", "csrf_token": token}, status=400)
