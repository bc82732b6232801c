"""An app with a database of its own: SQLAlchemy's ORM, pyramid_tm and pyramid_retry.

Its page counts visits by the site's history. `?fail=` says how the request goes wrong.
"""

from typing import Any

import sqlalchemy as sa
import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.router import Router
from pyramid_retry import RetryableException
from sqlalchemy import orm
from transaction.interfaces import TransientError

from tests.races.processes import SETTINGS


class Base(orm.DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    # Deferred: that there is no such order is found out by the commit, after the view.
    parent: orm.Mapped[int | None] = orm.mapped_column(
        sa.ForeignKey("orders.id", deferrable=True, initially="DEFERRED")
    )


class Conflict:
    """Joins a transaction, and makes its commit fail with an error that a retry may mend."""

    def __init__(self, manager: Any) -> None:
        self.transaction_manager = manager

    def tpc_vote(self, transaction: Any) -> None:
        raise TransientError

    def _nothing(self, transaction: Any) -> None:
        pass

    abort = commit = tpc_abort = tpc_begin = tpc_finish = _nothing

    def sortKey(self) -> str:  # noqa: N802  # transaction's name for it
        return "a"  # before the database's, which has nothing to undo then


def home(request: Request) -> Response:
    fail = request.GET.get("fail")
    first = request.environ["retry.attempt"] == 0
    request.orders.add(Order(parent=-1 if fail == "commit" else None))
    request.orders.flush()
    session = request.session
    session["attempts"] = session.get("attempts", 0) + 1
    if fail == "save":
        session.save()
    if fail == "transact":
        session.transact(lambda newest: newest.update(transacted=True))
    if fail in ("error", "save", "transact"):
        raise ZeroDivisionError
    if fail == "doom":
        request.tm.doom()
    if fail == "always" or (fail == "once" and first):
        raise RetryableException
    if fail == "commit once" and first:
        request.tm.get().join(Conflict(request.tm))
    return Response("done")


def naive_tween_factory(handler: Any, registry: Any) -> Any:
    """Saves the session inside the app's transaction, as a tween does that stands in there."""

    def naive_tween(request: Request) -> Response:
        response = handler(request)
        request.session.save()
        return response

    return naive_tween


def state(request: Request) -> dict[str, Any]:
    return dict(request.session)


def error(request: Request) -> Response:
    return Response("failed", status=500)


def make_app(
    url: str, engine: sa.Engine, *, error_page: bool, tm_first: bool = True, **more: str
) -> Router:
    """The app, its sessions at `url`, its own table on `engine`."""
    settings = SETTINGS | {
        "session.sqlalchemy.url": url,
        "session.sql.timeout": "2",
        "tm.manager_hook": "pyramid_tm.explicit_manager",
        **more,
    }
    make = orm.sessionmaker(engine)

    def orders(request: Request) -> orm.Session:
        opened = make()
        zope.sqlalchemy.register(opened, transaction_manager=request.tm)
        return opened

    includes = [
        "pyramid_tm", "pyramid_retry", "sessionsite.sessions", "sessionsite.request",
        "sessionsite.history",
    ]  # fmt: skip
    with Configurator(settings=settings) as config:
        for name in includes if tm_first else reversed(includes):
            config.include(name)
        config.add_request_method(orders, reify=True)
        config.add_route("home", "/")
        config.add_view(home, route_name="home")
        config.add_route("state", "/state")
        config.add_view(state, route_name="state", renderer="json")
        if error_page:
            config.add_exception_view(error, context=Exception)
    return config.make_wsgi_app()
