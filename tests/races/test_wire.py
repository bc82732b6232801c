"""What a request costs, counted on the wire: statements, each of them one round trip."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.harness.postgres import Postgres
from tests.races.clients import Crowd, Site
from tests.races.gates import GateKeeper
from tests.races.processes import processes
from tests.races.wire import WireCounter

WARM_UP = 12  # psycopg prepares a statement when it comes for the sixth time


@contextmanager
def counted(
    directory: Path,
    keeper: GateKeeper,
    postgres: Postgres,
    app: str,
    settings: Mapping[str, str] | None = None,
) -> Iterator[tuple[Site, WireCounter]]:
    """One process of `app`, whose statements a proxy counts."""
    url = make_url(postgres.create_database("counted"))
    address = (url.host or "127.0.0.1", url.port or 5432)
    with WireCounter(*address) as wire:
        through = url.set(host="127.0.0.1", port=wire.port).update_query_dict(
            {"sslmode": "disable", "gssencmode": "disable"}
        )
        direct, proxied = (u.render_as_string(hide_password=False) for u in (url, through))
        with processes(
            directory,
            keeper,
            direct,
            app,
            settings={"session.sqlalchemy.url": proxied, **(settings or {})},
            count=1,
        ) as site:
            yield site, wire


def cost(crowd: Crowd, wire: WireCounter, path: str, cookie: str = "") -> tuple[int, int]:
    """The statements and the round trips of one request, once the process is warm."""
    for number in range(WARM_UP):
        assert crowd.get(path, cookie, number=number).status == 200
    wire.take()
    assert crowd.get(path, cookie, number=WARM_UP).status == 200
    return wire.take()


def test_an_ordinary_request_costs_two_statements_at_most(
    directory: Path, keeper: GateKeeper, postgres: Postgres
) -> None:
    with (
        counted(directory, keeper, postgres, "views") as (site, wire),
        site.crowd(1) as crowd,
    ):
        cookie = crowd.get("/set", first="x").cookie
        assert cost(crowd, wire, "/untouched", cookie) == (0, 0)
        assert cost(crowd, wire, "/read") == (0, 0)
        assert cost(crowd, wire, "/read", cookie) == (1, 1)
        assert cost(crowd, wire, "/set") == (1, 1)
        assert cost(crowd, wire, "/set", cookie) == (2, 2)
        assert cost(crowd, wire, "/touch", cookie) == (2, 2)


def test_so_does_a_page_of_the_site(
    directory: Path, keeper: GateKeeper, postgres: Postgres
) -> None:
    with (
        counted(directory, keeper, postgres, "site") as (site, wire),
        site.crowd(1) as crowd,
    ):
        cookie = crowd.get("/").cookie
        assert cost(crowd, wire, "/static/site.css", cookie) == (0, 0)
        assert cost(crowd, wire, "/about") == (1, 1)
        assert cost(crowd, wire, "/about", cookie) == (2, 2)


def test_a_thousand_reads_in_the_reissue_time_write_nothing(
    directory: Path, keeper: GateKeeper, postgres: Postgres
) -> None:
    # None is opened while they count.
    one_connection = {"session.sqlalchemy.pool_size": "1", "session.max_waiting": "10"}
    with (
        counted(directory, keeper, postgres, "views", one_connection) as (site, wire),
        site.crowd(10) as crowd,
    ):
        cookie = crowd.get("/set", first="x").cookie
        crowd.map(lambda _: crowd.get("/read", cookie), range(WARM_UP))
        wire.take()
        crowd.map(lambda _: crowd.get("/read", cookie), range(1000))
        assert wire.take() == (1000, 1000)


def test_a_store_that_reads_before_it_writes_is_found(
    directory: Path, keeper: GateKeeper, postgres: Postgres
) -> None:
    naive = {"races.store": "LastWriterWinsStore"}
    with (
        counted(directory, keeper, postgres, "views", naive) as (site, wire),
        site.crowd(1) as crowd,
    ):
        cookie = crowd.get("/set", first="x").cookie
        assert cost(crowd, wire, "/set", cookie) > (2, 2)
