"""What the project does by hand, each with the libraries that could do it."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg.generators import execute
from psycopg.pq import Format
from pydantic import BaseModel, ConfigDict, Field
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.static import QueryStringConstantCacheBuster
from whitenoise import WhiteNoise

from benchmarks import ROOT, ours
from benchmarks.store.rows import filled
from sessionsite.settings import site_settings
from sessionsite.static_files import FOLDER
from tests.harness.postgres import Postgres

Once = Callable[[], object]
Piece = tuple[str, str, Once, Once]
"""What is done, the library, and how we and the library do it."""

GIVEN = {
    "history_limit": "20",
    "history_bytes": "2400",
    "contact": "webmaster@localhost",
    "error_page": "true",
    "hsts": "31536000",
}
# The module alone: what imports it in the project has pyramid loaded anyway.
IMPORTS = (
    f"sys.path.insert(0, {str(ROOT / 'sessionsite' / 'sessions')!r}); import ini",
    "import pydantic_settings",
)
COST = """
import sys, time
import dataclasses, difflib, os, re, typing, pyramid.path  # which a site has loaded before
start = time.process_time()
{}
print((time.process_time() - start) * 1000)
"""


class Site(BaseModel):
    """What `site_settings` reads, as far as pydantic has it: no `none`, no sentence of ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    history_limit: int = Field(20, ge=1)
    history_bytes: int | None = Field(2400, ge=2)
    contact: str = ""
    allowed_hosts: tuple[str, ...] = ()
    error_page: bool = True
    hsts: int | None = Field(None, ge=1)


def imports() -> list[float]:
    """Milliseconds of CPU that our reader's import takes, and the library's, in new processes."""
    commands = [[sys.executable, "-I", "-c", COST.format(code)] for code in IMPORTS]
    return [float(subprocess.check_output(command)) for command in commands]  # noqa: S603  # ours


def settings() -> list[Piece]:
    given = {f"sessionsite.{key}": value for key, value in GIVEN.items()}

    def theirs() -> object:
        values: Any = {key.removeprefix("sessionsite."): value for key, value in given.items()}
        return Site(**values)

    return [("five settings read", "pydantic", lambda: site_settings(given), theirs)]


def static(directory: Path) -> list[Piece]:
    with Configurator() as by_hand:
        by_hand.include("sessionsite.static_files")
    # One word for all files: Pyramid has no cache buster that hashes content.
    with Configurator() as by_pyramid:
        by_pyramid.add_static_view("static", "sessionsite:static", cache_max_age=31536000)
        by_pyramid.add_cache_buster("sessionsite:static", QueryStringConstantCacheBuster("1"))
    # WhiteNoise serves hashed names that a build step has made: here, the next lines.
    content = (FOLDER / "site.css").read_bytes()
    name = f"site.{hashlib.sha256(content).hexdigest()[:10]}.css"
    (directory / name).write_bytes(content)
    noise = WhiteNoise(by_pyramid.make_wsgi_app(), root=directory, prefix="noise/")

    def get(app: Any, url: str) -> Once:
        def once() -> None:
            response = Request.blank(url).get_response(app)
            if response.status_int != 200 or len(response.body) < 1000:
                raise RuntimeError(f"{url}: {response.status}")

        return once

    def get_hashed(config: Configurator) -> Once:
        request = Request.blank("/")
        request.registry = config.registry
        return get(config.make_wsgi_app(), request.static_path("sessionsite:static/site.css"))

    what, here = "a hashed style sheet served", get_hashed(by_hand)
    return [
        (what, "Pyramid's static view", here, get_hashed(by_pyramid)),
        (what, "WhiteNoise", here, get(noise, f"/noise/{name}")),
    ]


def wire(postgres: Postgres, exits: ExitStack) -> list[Piece]:
    store = exits.enter_context(ours.opened(filled(postgres, 100, 700)))
    pooled = exits.enter_context(closing(store.engine.raw_connection()))
    connection: Any = pooled.dbapi_connection
    load, values = ours.statement(store, "load"), ours.for_load(1)
    load.run(connection, values)  # prepared from here on
    arguments = load._encoder(connection).dump_sequence([values[n] for n in load.names], ())

    def send() -> Any:
        pgconn = connection.pgconn
        pgconn.send_query_prepared(load._name, arguments, load._formats, Format.BINARY)
        return pgconn

    def by_hand() -> None:
        send()
        connection.answer()

    def bounded() -> None:
        connection.wait(execute(send()))

    def unbounded() -> None:
        psycopg.Connection.wait(connection, execute(send()))

    what = "the wait for an answer: one prepared SELECT by key"
    return [
        (what, "psycopg's generators, no time-out", by_hand, unbounded),
        (what, "the same with our time-out", by_hand, bounded),
    ]
