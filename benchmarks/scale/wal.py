"""The write-ahead log of visits: a record for each, and a page's image at its first change.

After a checkpoint PostgreSQL logs a page as a whole when it is first changed (`full_page_writes`).
So a visit costs more, the more pages the rows lie on, and the fewer visits a page has in between.
"""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from benchmarks import ours
from benchmarks.store.rows import SIZES, WAL, connect, filled, numbers
from sessionsite.sessions import utc_now
from tests.harness.postgres import Postgres

SIZE = 700  # bytes of payload
PAGE = 8192
NO_AUTOVACUUM = f"ALTER TABLE {ours.TABLE} SET (autovacuum_enabled = false)"
# No two rows have the same payload, or a page's image would compress to nothing.
OWN_PAYLOADS = f"""
UPDATE {ours.TABLE} SET payload = (
    SELECT format('{{"_csrft_": "%s", "history": [%s]}}', md5(id),
        string_agg(format('"https://sessions.example.org/about?visit=%s"',
                          left(md5(id || n), 16)), ', '))
    FROM generate_series(1, {SIZE // 61}) AS n)::json
"""  # noqa: S608  # ours


@dataclass(frozen=True)
class Row:
    """What a session's row takes, in bytes."""

    table: float
    indexes: float
    record: float
    """Of the log, for each visit."""
    image: float
    """Of the log, for the first visit to one of a page's rows."""

    def log(self, rows: float, visits: float) -> float:
        """The bytes of log per visit, of so many to random rows, between two checkpoints."""
        pages = max(1.0, rows * self.table / PAGE)
        touched = pages * (1 - (1 - 1 / pages) ** visits) if pages > 1 else 1.0
        return self.record + self.image * touched / visits


def small(postgres: Postgres, rows: int) -> Row:
    """Measure it on a small table."""
    url = made(postgres, rows)
    table, indexes = numbers(url, SIZES)
    apart = range(1, rows, 20)  # at most one row of each page
    first = logged(url, apart)
    again = logged(url, apart, checkpoint=False)
    # Whole bytes, as the report shows them: what is made from them can be made again.
    return Row(*map(round, (table / rows, indexes / rows, again, first - again)))


def large(postgres: Postgres, rows: int, visits: int) -> tuple[float, float]:
    """Bytes of table and indexes per row, and of log per visit, of so many to random rows."""
    url = made(postgres, rows)
    chosen = random.Random(rows)  # noqa: S311  # no secret
    log = logged(url, (chosen.randint(1, rows) for _ in range(visits)))
    return sum(numbers(url, SIZES)) / rows, log


def made(postgres: Postgres, rows: int) -> str:
    # Autovacuum would write to the log as well, at a time of its own.
    url = filled(postgres, rows, SIZE, change=NO_AUTOVACUUM)
    with connect(url) as connection:
        connection.execute(OWN_PAYLOADS.encode())
        connection.execute(f"VACUUM FULL {ours.TABLE}".encode())
        connection.execute(f"VACUUM ANALYZE {ours.TABLE}".encode())
    return url


def logged(url: str, rows: Iterable[int], *, checkpoint: bool = True) -> float:
    """Visit each of the rows, and return the bytes of log per visit."""
    if checkpoint:
        with connect(url) as connection:
            connection.execute("CHECKPOINT")
    before, count = numbers(url, WAL)[0], 0
    with ours.opened(url) as store:
        for count, number in enumerate(rows, 1):  # noqa: B007  # how many there are
            visit(store, number)
    return (numbers(url, WAL)[0] - before) / count


def visit(store: ours.Store, number: int) -> None:
    """Save another payload of the same length, as of a session whose oldest visit goes."""
    now = utc_now()
    record = store.load(ours.row_id(number), now)
    assert record is not None
    payload = re.sub("v[a-z0-9]{4}=", f"v{record.version:04}=", record.payload)
    if not store.save(replace(record, payload=payload, seen_at=now), record.version, now):
        raise RuntimeError(f"the visit to row {number} was not saved")
