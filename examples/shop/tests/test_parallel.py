"""Parallel requests of one visitor, to a real server: what they put in is all there."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import Barrier
from typing import Any
from urllib.parse import urlencode, urlsplit

from shop.models import Order
from sqlalchemy import select
from sqlalchemy.orm import Session
from test_functional import log_in
from webtest import TestApp

from sessionsite.testing import session

AT_ONCE = 6


def send(
    server: str, visitor: TestApp, requests: list[tuple[str, str, dict[str, str]]]
) -> list[int]:
    """Send requests with the visitor's cookie, all at once; return the status of each."""
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    barrier = Barrier(len(requests))

    def ask(request: tuple[str, str, dict[str, str]]) -> int:
        method, path, form = request
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        connection = HTTPConnection(urlsplit(server).netloc, timeout=30)
        barrier.wait(timeout=30)
        connection.request(method, path, urlencode(form), headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    with ThreadPoolExecutor(len(requests)) as threads:
        return list(threads.map(ask, requests))


def token_of(visitor: TestApp) -> str:
    token: str = visitor.get("/").forms[0]["csrf_token"].value
    return token


def test_each_add_is_counted(server: str, testapp: TestApp) -> None:
    form = {"id": "assam", "csrf_token": token_of(testapp)}
    for _ in range(3):
        statuses = send(server, testapp, [("POST", "/cart/add", form)] * AT_ONCE)
        assert statuses == [303] * AT_ONCE
    with session(testapp) as data:
        assert data["cart"] == {"assam": 3 * AT_ONCE}


def test_each_tea_that_was_looked_at_is_listed(server: str, testapp: TestApp) -> None:
    testapp.get("/")
    teas = ["assam", "darjeeling", "earl-grey", "oolong", "rooibos", "sencha"]
    statuses = send(server, testapp, [("GET", f"/teas/{tea}", {}) for tea in teas])
    assert statuses == [200] * len(teas)
    with session(testapp) as data:
        assert sorted(data["seen"]) == teas


def test_clicks_at_once_are_one_order(
    server: str, testapp: TestApp, dbsession: Session, visit: Callable[[], Any]
) -> None:
    log_in(testapp)
    with session(testapp) as data:
        data["cart"] = {"sencha": 2}
    newest = select(Order.id).order_by(Order.id.desc()).limit(1)
    before = dbsession.scalar(newest) or 0
    dbsession.rollback()
    form = {"csrf_token": token_of(testapp)}
    statuses = send(server, testapp, [("POST", "/checkout", form)] * AT_ONCE)
    assert statuses == [303] * AT_ONCE
    placed = dbsession.scalars(select(Order).where(Order.id > before)).all()
    assert len(placed) == 1
    with session(testapp) as data:
        assert (data["cart"], len(data.peek_flash())) == ({}, 1)
