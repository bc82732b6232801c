"""production.ini's site under the name site.test, with lines of the test's own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from sessionsite.sessions.sql import SQLAlchemyStore
from tests.functional.browser.pages import Site
from tests.harness.nginx import start_nginx
from tests.harness.production import production_ini, start_worker

NAME = "site.test"


@contextmanager
def named_site(
    directory: Path, database: str, lines: Mapping[str, str], prefix: str = ""
) -> Iterator[Site]:
    """One process behind an nginx of its own, at the path `prefix`, on a database with the table.

    `lines` are of [app:main]. Cookies know no ports: to a browser, two such sites are one site
    whose configuration has changed.
    """
    (directory / "nginx").mkdir(parents=True)
    config = production_ini(directory, *(f"{key} = {value}" for key, value in lines.items()))
    if prefix:
        text = config.read_text("utf-8")
        head = "[server:worker]\n"
        assert head in text
        config.write_text(text.replace(head, f"{head}url_prefix = {prefix}\n"), "utf-8")
    with (
        start_worker(directory, config, DATABASE_URL=database, SITE_HOSTS=NAME) as worker,
        start_nginx(directory / "nginx", [worker.port], name=NAME) as nginx,
    ):
        cookie = lines.get("session.cookie_name", "__Host-sessionsite")
        yield Site("production", f"{nginx.url}{prefix}", cookie)


def living_sessions(store: SQLAlchemyStore) -> int:
    query = sa.select(sa.func.count()).where(store.table.c.expires_at > datetime.now(UTC))
    with store.engine.connect() as connection:
        return int(connection.execute(query).scalar_one())
