"""A session has its own transaction: the app's aborts without it, and commits without it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from pyramid.interfaces import ISessionFactory
from pyramid.threadlocal import get_current_request
from webtest import TestApp

from sessionsite.sessions.store import Record
from tests.harness.stores import sql_store
from tests.races.broken import Naive
from tests.races.transactional import Base, Order, make_app

# SQLite has one writer at a time, and that is the app until its commit; one that fails there
# leaves the transaction open.
POSTGRES = pytest.param("postgres", marks=pytest.mark.servers)
on_postgres = pytest.mark.parametrize("url", [POSTGRES], indirect=True)

BEFORE = {"attempts": 1, "history": ["http://localhost/"]}


@dataclass
class Host:
    """The app and one visitor, who has been there once, without trouble."""

    app: Any
    engine: sa.Engine

    def __post_init__(self) -> None:
        self.visitor = TestApp(self.app)
        assert self.visit() == (200, 1, BEFORE)

    def visit(self, fail: str = "") -> tuple[int, int, dict[str, Any]]:
        """The status of a visit that fails like this, the app's rows, and the session after it."""
        params = {"fail": fail} if fail else {}
        try:
            status = self.visitor.get("/", params, expect_errors=True).status_int
        except ZeroDivisionError:
            status = 0  # no error page
        with self.engine.connect() as connection:
            count = connection.execute(sa.select(sa.func.count(Order.id))).scalar_one()
        return status, count, self.visitor.get("/state").json


@pytest.fixture(params=[POSTGRES, "sqlite"])
def url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def make_host(url: str) -> Iterator[Callable[..., Host]]:
    """Make an app whose own table is in the database where its sessions are."""
    engines = [sa.create_engine(url)]
    Base.metadata.create_all(engines[0])
    sql_store(url).engine.dispose()

    def make(store: type[Naive] | None = None, error_page: bool = True, **options: Any) -> Host:
        app = make_app(url, engines[0], error_page=error_page, **options)
        factory = app.registry.getUtility(ISessionFactory)
        engines.append(factory.store.engine)
        if store:
            factory.store = store(factory.store)
        return Host(app, engines[0])

    yield make
    for engine in engines:
        engine.dispose()


def after(fail: str = "") -> dict[str, Any]:
    """The session after another visit, counted once."""
    return {"attempts": 2, "history": [f"http://localhost/?fail={fail}", "http://localhost/"]}


class TestAborts:
    def test_an_error_aborts_the_apps_changes_and_keeps_the_sessions(
        self, make_host: Callable[..., Host]
    ) -> None:
        assert make_host().visit("error") == (500, 1, BEFORE | {"attempts": 2})

    def test_a_doomed_transaction_does_too(self, make_host: Callable[..., Host]) -> None:
        assert make_host().visit("doom") == (200, 1, after("doom"))

    @on_postgres
    @pytest.mark.parametrize("tm_first", [True, False])
    def test_a_commit_that_fails_after_the_view_does_too_and_is_no_visit(
        self, make_host: Callable[..., Host], tm_first: bool
    ) -> None:
        host = make_host(tm_first=tm_first)
        assert host.visit("commit") == (500, 1, BEFORE | {"attempts": 2})

    @on_postgres
    @pytest.mark.parametrize(
        ("fail", "stored"), [("save", {"attempts": 2}), ("transact", {"transacted": True})]
    )
    def test_what_is_stored_inside_the_view_commits_nothing_of_the_app(
        self, make_host: Callable[..., Host], fail: str, stored: dict[str, Any]
    ) -> None:
        status, count, session = make_host().visit(fail)
        assert (status, count, session | stored) == (500, 1, session)

    def test_with_set_on_exception_off_an_error_keeps_nothing(
        self, make_host: Callable[..., Host]
    ) -> None:
        host = make_host(**{"session.set_on_exception": "false"})
        assert host.visit("error") == (500, 1, BEFORE)


class TestRetries:
    @pytest.mark.parametrize("tm_first", [True, False])
    @pytest.mark.parametrize("error_page", [True, False])
    @pytest.mark.parametrize("fail", ["once", "commit once"])
    def test_a_retried_request_counts_once(
        self, make_host: Callable[..., Host], fail: str, error_page: bool, tm_first: bool
    ) -> None:
        host = make_host(error_page=error_page, tm_first=tm_first)
        assert host.visit(fail) == (200, 2, after(fail.replace(" ", "+")))

    def test_of_attempts_that_all_fail_the_last_is_kept(
        self, make_host: Callable[..., Host]
    ) -> None:
        assert make_host().visit("always") == (500, 1, BEFORE | {"attempts": 2})


class _DeferringStore(Naive):
    """Stores along with the app's transaction, and so not without it."""

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        def store(success: bool) -> None:
            if success:
                self._store.save(record, expected_version, now)

        get_current_request().tm.get().addAfterCommitHook(store)
        return True


class _CommittingStore(Naive):
    """Commits whatever is open."""

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        get_current_request().orders.connection().commit()
        return bool(self._store.save(record, expected_version, now))


class TestNaiveVersions:
    INSIDE = {  # noqa: RUF012
        "pyramid.tweens": "pyramid_tm.tm_tween_factory "
        "tests.races.transactional.naive_tween_factory "
        "sessionsite.history.history_tween_factory pyramid.tweens.excview_tween_factory"
    }

    @on_postgres
    def test_a_session_in_the_apps_transaction_is_found(
        self, make_host: Callable[..., Host]
    ) -> None:
        host = make_host(_DeferringStore, **self.INSIDE)
        assert host.visit("error") == (500, 1, BEFORE)

    @on_postgres
    def test_a_session_that_commits_the_apps_rows_is_found(
        self, make_host: Callable[..., Host]
    ) -> None:
        assert make_host(_CommittingStore).visit("save")[1] == 2

    @on_postgres
    def test_a_session_saved_before_the_apps_commit_is_found(
        self, make_host: Callable[..., Host]
    ) -> None:
        assert make_host(**self.INSIDE).visit("commit once") != (200, 2, after("commit+once"))

    def test_a_session_that_keeps_discarded_attempts_is_found(
        self, make_host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host = make_host()
        monkeypatch.setattr("sessionsite.sessions.opened.Opened.discard", lambda self: None)
        assert host.visit("once")[2]["attempts"] == 3
