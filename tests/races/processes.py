"""Processes of one of the apps, on one database."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sessionsite.sessions import OwnerStore
from tests import ROOT
from tests.harness import free_port
from tests.harness.production import VALKEY_FACTORY
from tests.harness.pserve import start_pserve
from tests.harness.stores import sql_store, valkey_store
from tests.races.clients import COOKIE_NAME, Site
from tests.races.gates import GateKeeper

SECRET = "only-the-tests-of-races-know-this-secret"
# More than the requests that any race holds at its gates in one process.
THREADS = 110
SETTINGS = {
    "sessionsite.history_bytes": "none",
    "sessionsite.history_limit": "1000",
    "sessionsite.session_factory": "sessionsite.sessions.server.session_factory_from_settings",
    "session.cookie_name": COOKIE_NAME,
    "session.secret": SECRET,
    "session.prune_interval": "none",
}
SQL = {"session.sqlalchemy.pool_size": "20", "session.sqlalchemy.max_overflow": "0"}
CONFIG = """
[app:main]
use = call:tests.races.app:{app}
{settings}

[server:main]
use = egg:waitress#main
listen = 127.0.0.1:%(http_port)s
threads = {threads}
connection_limit = 1000
"""


@contextmanager
def processes(
    directory: Path,
    keeper: GateKeeper,
    url: str,
    app: str = "views",
    *,
    settings: Mapping[str, str] | None = None,
    count: int = 2,
    env: Mapping[str, str] | None = None,
    own_store: OwnerStore | None = None,
) -> Iterator[Site]:
    """`count` processes of one of the apps on the database at `url`, which is empty.

    Or, with no `url`, on what `own_store` is on; its keys are in `settings`.
    """
    store = own_store or sql_store(url)
    given = SETTINGS | {"races.gate_port": str(keeper.port)}
    if own_store is None:
        given |= SQL | {"session.sqlalchemy.url": url}
    lines = "\n".join(f"{k} = {v}" for k, v in {**given, **(settings or {})}.items())
    ports = [free_port() for _ in range(count)]
    config = directory / f"{ports[0]}.ini"
    config.write_text(CONFIG.format(app=app, settings=lines, threads=THREADS))
    servers = []
    with ExitStack() as stack:
        stack.callback(store.close)
        for port in ports:
            args = [f"http_port={port}"]
            environ = {"PYTHONPATH": str(ROOT), **(env or {})}
            server = start_pserve(config, env=environ, args=args, directory=directory)
            servers.append(stack.enter_context(server))
        yield Site(ports, store, url, keeper, servers)


@contextmanager
def processes_on_valkey(
    directory: Path, keeper: GateKeeper, url: str, *, count: int = 2, **keys: str
) -> Iterator[Site]:
    """The same on Valkey or Redis; `keys`: further ones below `session.valkey.`."""
    keys = {"url": url, "prefix": f"{free_port()}:", **keys}
    settings = {f"session.valkey.{name}": value for name, value in keys.items()}
    settings["sessionsite.session_factory"] = VALKEY_FACTORY
    store = valkey_store(**keys)
    with processes(directory, keeper, "", settings=settings, count=count, own_store=store) as site:
        yield site
