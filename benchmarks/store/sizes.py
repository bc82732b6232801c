"""What a row takes, before and after many saves: in our table, and in connect-pg-simple's."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks import ours
from benchmarks.store.rows import (
    ANOTHER,
    SIZES,
    UPDATES,
    connect,
    numbers,
    payload,
    pgbench,
    script,
)
from tests.harness.postgres import Postgres

WORKERS = 4
# connect-pg-simple's table, its session ids of 32 characters, and what it does at each request.
SESSION = """
CREATE TABLE session (sid varchar NOT NULL, sess json NOT NULL, expire timestamp(6) NOT NULL);
ALTER TABLE session ADD PRIMARY KEY (sid);
CREATE INDEX "IDX_session_expire" ON session (expire)
"""
SID = "left(encode(sha256(({})::text::bytea), 'base64'), 32)"
FILL = f"""
INSERT INTO session SELECT {SID.format("n")}, %s::json, now() + interval '20 minutes'
FROM generate_series(1, %s) n
"""  # noqa: S608  # ours
SAVE = f"""
\\set n random(1, ROWS)
\\set m random(1000, 9999)
SELECT sess FROM session WHERE sid = {SID.format(":n")} AND expire >= now() \\gset
INSERT INTO session (sess, expire, sid) VALUES ({ANOTHER.replace(":payload", ":sess")},
  now() + interval '20 minutes', {SID.format(":n")})
ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire RETURNING sid;
"""  # noqa: S608  # ours


@dataclass
class Saves:
    """So many of them, by 4 clients of pgbench; `file` is where their script goes."""

    count: int
    file: Path


@dataclass
class Sizes:
    """Bytes of the table, and of its indexes, and the share of saves that were HOT."""

    name: str
    rows: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    hot: float

    HEADER: ClassVar = [
        "bytes per row", "rows", "table", "after the saves", "indexes", "after the saves", "HOT"
    ]  # fmt: skip

    def line(self) -> list[str]:
        both = zip(self.before, self.after, strict=True)
        bytes_per_row = [f"{each / self.rows:.0f}" for two in both for each in two]
        return [self.name, f"{self.rows:,}", *bytes_per_row, f"{self.hot:.1%}"]


def saved(postgres: Postgres, url: str, name: str, rows: int, saves: Saves) -> Sizes:
    """Save rows of our table many times; then drop its database, whose room is needed.

    `name`: what the line of the table is called.

    None of these saves is so late that the expiry has to move.
    """
    file = script(url, rows, saves.file, ANOTHER)
    return _saved(postgres, url, name, rows, saves.count, file, ours.TABLE)


def beside(postgres: Postgres, rows: int, size: int, saves: Saves) -> Sizes:
    """Do the same with connect-pg-simple's table, as it does, with the same payload."""
    url = postgres.create_database("peer")
    cookie = '{"cookie": {"originalMaxAge": 1200000, "httpOnly": true, "path": "/"}, '
    with connect(url) as connection:
        connection.execute(SESSION)
        connection.execute(FILL.encode(), (cookie + payload(size)[1:], rows))
        connection.execute("VACUUM ANALYZE session")
        connection.execute("CHECKPOINT")
    saves.file.write_text(SAVE.replace("ROWS", str(rows)))
    return _saved(postgres, url, "connect-pg-simple", rows, saves.count, saves.file, "session")


def _saved(
    postgres: Postgres, url: str, name: str, rows: int, count: int, file: Path, table: str
) -> Sizes:
    sizes, updates = (text.replace(f"'{ours.TABLE}'", f"'{table}'") for text in (SIZES, UPDATES))
    before, started = numbers(url, sizes), _settled(url, updates)
    pgbench(url, file, WORKERS, f"-t{count // WORKERS}")
    ended, after = _settled(url, updates), numbers(url, sizes)
    hot = (ended[1] - started[1]) / (ended[0] - started[0])
    with postgres.connect() as connection:
        connection.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)'.encode())
    return Sizes(name, rows, before, after, hot)


def _settled(url: str, updates: str) -> tuple[int, ...]:
    """All updates of the table so far, and those that were HOT."""
    time.sleep(3)  # a backend reports once a second at most
    return numbers(url, updates)
