"""No part of the database's password is in a log, an error, the list of processes or a page."""

import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from psycopg import sql
from pyramid.scripts import pserve

from sessionsite.sessions import ConfigurationError
from sessionsite.sessions.sql import make_engine
from sessionsite.sessions.sql_settings import sql_settings
from tests.harness import free_port
from tests.harness.postgres import Postgres, end_clients
from tests.harness.production import HOSTS, SECRET, Browser, production_ini, start_worker

pytestmark = pytest.mark.servers

SESSIONSITE = "import sys; from sessionsite.cli import main; sys.exit(main(sys.argv[1:]))"
LEAST = 8  # characters in a row that give a part of a password away
A, B, C, D, E = "Qx7Vn", "Zk9Wf", "Vj4Hm", "Tb6Rc", "Wy3Kd"
SPECIAL = f"{A}@{B}/{C}:{D}?{E}#%&=+,;[]'\"\\$ é"
RAW = f"{A}#{B}?{C},{D}:{E}"  # what libpq takes in a password as it is
TEMPLATES = {
    "encoded": ("postgresql://{user}:{encoded}@{host}:{port}/{name}", SPECIAL),
    "in the query": (
        "postgresql+psycopg://{host}:{port}/{name}?user={user}&password={encoded}",
        SPECIAL,
    ),
    "as it is": ("postgres://{user}:{raw}@{host}:{port}/{name}", RAW),
}
# Split in another place than was meant: what comes after it would be a host, a database, a port or
# a parameter, which errors name.
SPLIT = [
    "postgresql://site:{0}@{1}@127.0.0.1/site",
    "postgresql://site:{0}/{1}@127.0.0.1/site",
    "postgresql://site:{0}:{1}/{2}@127.0.0.1/site",
    "postgresql://site:{0}?{1}@{2}@127.0.0.1/site",
    "postgresql://site:{0}#{1}/{2}@127.0.0.1/site",
    "postgresql://site:{0}%{1}@127.0.0.1/site",
    "postgresql://site:{0}?%^]{1}@127.0.0.1/site",
    "postgresql://site:{0}@127.0.0.1,site:{1}@127.0.0.2/site",
    "postgresql://site:{0}[{1}@[127.0.0.1/site",
    "postgresql://127.0.0.1/site?user=site&password={0}&{1}",
    "postgresql://127.0.0.1/site?user=site&password={0}&{1}={2}",
    "postgresql://127.0.0.1/site?user=site&password={0}={1}",
    "postgresql://127.0.0.1/site?user=site&password={0}%{1}",
    "postgresql://127.0.0.1/site?user=site&password={0}@{1}",
    "postgresql://127.0.0.1/site?user=site&password={0}&prepare_threshold={1}",
    "postgresql://site@127.0.0.1:{0}/site",
    "postgresql:site:{0}@127.0.0.1/site",
    "postgresql:/site:{0}@127.0.0.1/site",
    "host=127.0.0.1 user=site password={0}",
    "host=127.0.0.1 options='-c a:{0}' password={1}",
    "mysql://site:{0}@127.0.0.1/site",
    "site:{0}@127.0.0.1/site",
    "{0}:{1}@127.0.0.1/site",
    "sqlite://site:{0}@127.0.0.1/site",
]


def parts(password: str) -> set[str]:
    """What gives `password` away: pieces that a URL may be split into, and any eight characters."""
    found = set()
    for text in (password, quote(password, safe=""), quote_plus(password)):
        found |= {piece for piece in re.split(r"\W", text) if len(piece) >= len(A)}
        found |= {text[at : at + LEAST] for at in range(len(text) - LEAST + 1)}
    return found


def leaks(password: str, *outputs: str) -> list[str]:
    text = "\n".join(outputs)
    return sorted(part for part in parts(password) if part in text)


def test_a_leak_would_be_seen() -> None:
    assert leaks(SPECIAL, f'host "{B}"') == [B]
    assert leaks(SPECIAL, quote(SPECIAL)[7:15]) != []
    assert leaks(SPECIAL, "no part of it") == []


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    return postgres.create_database("passwords").rpartition("/")[2]


@pytest.fixture
def role(postgres: Postgres, database: str) -> Iterator[str]:
    """A role that may create the table; `password` is set by the test."""
    name = sql.Identifier("with_a_password")
    with postgres.connect() as connection, ExitStack() as after:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        after.callback(connection.execute, sql.SQL("DROP ROLE {}").format(name))
        owner = sql.SQL("ALTER DATABASE {} OWNER TO {}")
        after.callback(
            connection.execute, owner.format(sql.Identifier(database), sql.Identifier("postgres"))
        )
        connection.execute(owner.format(sql.Identifier(database), name))
        yield "with_a_password"
        end(postgres, database)
        with postgres.connect(f"{postgres.url.rpartition('/')[0]}/{database}") as inside:
            inside.execute("DROP TABLE IF EXISTS sessions")
            inside.execute(sql.SQL("DROP OWNED BY {}").format(name))


def end(postgres: Postgres, database: str) -> None:
    """End all connections to the database but this one."""
    with postgres.connect() as connection:
        end_clients(connection, "datname = %s", database)


def at_debug(directory: Path, *lines: str) -> Path:
    """production.ini with every logger at DEBUG, SQLAlchemy's among them."""
    config = production_ini(directory, "session.sqlalchemy.echo = debug", *lines)
    text = re.sub("(?m)^level = .*", "level = DEBUG", config.read_text("utf-8"))
    text = text.replace("[loggers]\nkeys = root", "[loggers]\nkeys = sqlalchemy, psycopg, root")
    for name in ("sqlalchemy", "psycopg"):
        text += f"\n[logger_{name}]\nlevel = DEBUG\nhandlers =\nqualname = {name}\n"
    config.write_text(text, "utf-8")
    return config


def run(config: Path, url: str, *command: str) -> tuple[int, str]:
    """The exit status of a command, and all that it has printed."""
    done = subprocess.run(
        [sys.executable, *command],
        env={
            "PATH": os.environ["PATH"], "SESSION_SECRET": SECRET, "SITE_HOSTS": HOSTS,
            "DATABASE_URL": url,
        },
        cwd=config.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def commands(config: Path, url: str) -> tuple[set[int], str]:
    """What the subcommands that ask the store do."""
    done = [
        run(config, url, "-c", SESSIONSITE, command, str(config))
        for command in ("init-db", "prune")
    ]
    return {status for status, _ in done}, "\n".join(text for _, text in done)


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
@pytest.mark.parametrize("form", TEMPLATES)
def test_cs_log_no_part_of_a_password_shows_anywhere(
    form: str, right: bool, postgres: Postgres, database: str, role: str, tmp_path: Path
) -> None:
    template, password = TEMPLATES[form]
    url = template.format(
        user=role, encoded=quote(password, safe=""), raw=password, host=postgres.host,
        port=postgres.port, name=database,
    )  # fmt: skip
    change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        sql.Identifier(role), sql.Literal(password if right else "another")
    )
    with postgres.connect() as connection:
        connection.execute(change)
    config = at_debug(tmp_path)
    statuses, printed = commands(config, url)
    assert statuses == ({0} if right else {1})
    with start_worker(tmp_path, config, DATABASE_URL=url) as worker:
        browser = Browser(worker.url)
        good = [browser.get(path) for path in ("/", "/about", "/missing", "/healthz")]
        end(postgres, database)
        good.append(browser.get("/"))
        with postgres.connect() as connection:
            connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(role)))
        end(postgres, database)
        outage = [browser.get(path) for path in ("/", "/healthz")]
        listed = Path(f"/proc/{worker.pid}/cmdline")
        shown = listed.read_text() if listed.exists() else ""
        log = worker.output()
    assert [a.status for a in good] == (
        [200, 200, 404, 200, 200] if right else [503, 503, 404, 503, 503]
    )
    assert [a.status for a in outage] == [503, 503]
    assert "DEBUG [sqlalchemy.pool" in log
    assert "is not permitted to log in" in log or not right
    assert f'password authentication failed for user "{role}"' in log or right
    pages = [f"{answer.headers}{answer.text}" for answer in (*good, *outage)]
    assert leaks(password, printed, log, shown, *pages) == []


@pytest.mark.parametrize("template", SPLIT)
def test_cs_log_the_error_of_such_a_url_shows_no_part_of_it(template: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^session\.sqlalchemy\.url") as caught:
        make_engine(sql_settings({"session.sqlalchemy.url": template.format(A, B, C)}))
    assert leaks(f"{A}@{B}@{C}", "".join(traceback.format_exception(caught.value))) == []


# Each of the others is refused by the same lines of code, in processes that take seconds to start.
@pytest.mark.parametrize(
    "template",
    [pytest.param(each, marks=pytest.mark.all if n % 6 else ()) for n, each in enumerate(SPLIT)],
)
def test_cs_log_a_url_that_is_split_in_the_wrong_place_shows_no_part_of_it(
    template: str, tmp_path: Path
) -> None:
    url = template.format(A, B, C)
    config = at_debug(tmp_path)
    server = [
        "-m",
        pserve.__name__,
        "--server-name=worker",
        str(config),
        f"http_port={free_port()}",
    ]
    status, printed = run(config, url, *server)
    assert status != 0
    assert re.search(r"ConfigurationError: session\.sqlalchemy\.url", printed.splitlines()[-1])
    statuses, from_commands = commands(config, url)
    assert statuses == {1}
    assert leaks(f"{A}@{B}@{C}", printed, from_commands) == []
