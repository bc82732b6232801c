"""Partitions by time, and by a hash of the id, beside one table."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from statistics import median

from benchmarks import ours
from benchmarks.cli import say, table
from benchmarks.store.care.beside import Visits
from benchmarks.store.rows import connect, each_time, filled, numbers
from sessionsite.sessions import utc_now
from tests.harness.postgres import Postgres

SIZE = 700  # bytes of payload
HOURS = 12  # the lifetime of a session; one more partition is there for what comes next
HASHES = 16
EACH = 3  # sessions of an owner
T = ours.TABLE
# Row n of `rows` was created n / rows of 12 hours ago, and ends 13 hours after it was created.
SPREAD = f"""
UPDATE {T}
SET owner = 'user:' || number / {EACH},
    created_at = now() - age, expires_at = now() - age + interval '13 hours'
FROM (SELECT id AS its, substr(owner, 6)::int AS number,
             interval '{HOURS} hours' * substr(owner, 6)::float / %s::float AS age
      FROM {T}) AS ages
WHERE id = its
"""  # noqa: S608  # ours
PARTED = f"""
ALTER TABLE {T} RENAME TO flat;
CREATE TABLE {T} (LIKE flat INCLUDING DEFAULTS, PRIMARY KEY (%s)) PARTITION BY %s;
%s
INSERT INTO {T} SELECT * FROM flat;
DROP TABLE flat;
CREATE INDEX ON {T} (expires_at);
CREATE INDEX ON {T} (owner) WHERE owner IS NOT NULL;
"""  # noqa: S608  # ours
PARTITION = f"CREATE TABLE {T}_%s PARTITION OF {T} FOR VALUES %s WITH (fillfactor = 80);"
UPDATES = f"""
SELECT sum(n_tup_upd)::int, sum(n_tup_hot_upd)::int FROM pg_stat_user_tables
WHERE relid IN (SELECT relid FROM pg_partition_tree('{T}') UNION SELECT '{T}'::regclass)
"""  # noqa: S608  # ours

# A plan that serves all values locks all partitions, each time.
CUSTOM = """
DO $$ BEGIN EXECUTE format(
    'ALTER DATABASE %I SET plan_cache_mode = force_custom_plan', current_database());
END $$
"""


def by_hour() -> str:
    """SQL that makes partition n of what was created n to n + 1 hours ago."""
    now = utc_now()
    ends = [(now - timedelta(hours=n)).isoformat() for n in range(-1, HOURS + 2)]
    parts = [PARTITION % (n, f"FROM ('{ends[n + 1]}') TO ('{ends[n]}')") for n in range(HOURS + 1)]
    return PARTED % ("id, created_at", "RANGE (created_at)", "\n".join(parts))


def by_hash() -> str:
    parts = [PARTITION % (n, f"WITH (modulus {HASHES}, remainder {n})") for n in range(HASHES)]
    return PARTED % ("id", "HASH (id)", "\n".join(parts))


KINDS: dict[str, Callable[[], str]] = {
    "one table": lambda: f"VACUUM FULL {T}",
    f"{HOURS + 1} by the hour of `created_at`": by_hour,
    f"{HASHES} by a hash of `id`": by_hash,
    f"{HASHES} by a hash, each statement planned anew": lambda: by_hash() + CUSTOM,
}

# How the oldest partition goes, and the one after it.
DROPS = {
    "`DROP TABLE`": (HOURS - 1, ["DROP TABLE {0}"]),
    "`DETACH … CONCURRENTLY`, `DROP TABLE`": (
        HOURS - 2,
        [f"ALTER TABLE {T} DETACH PARTITION {{0}} CONCURRENTLY", "DROP TABLE {0}"],
    ),
}


def load(store: ours.Store, id_: str) -> None:
    store.load(id_, utc_now())


def list_owner(store: ours.Store, number: int) -> None:
    if not store.sessions_of(ours.owner(number, EACH), utc_now()):
        raise RuntimeError(f"the owner of row {number} has no session")


def arranged(postgres: Postgres, rows: int, statements: str) -> str:
    url = filled(postgres, rows, SIZE, each=1)
    with connect(url) as connection:
        connection.execute(SPREAD.encode(), (rows,))
        connection.execute(statements.encode())
        connection.execute(f"VACUUM ANALYZE {T}".encode())
    return url


def measure(postgres: Postgres, quick: bool) -> str:
    rows, turns, operations = (1_200, 1, 50) if quick else (120_000, 5, 1_500)
    urls = {}
    for name, statements in KINDS.items():
        say(f"{rows:,} rows: {name}")
        urls[name] = arranged(postgres, rows, statements())
    taken: dict[str, list[list[float]]] = {name: [] for name in urls}
    before = {name: numbers(url, UPDATES) for name, url in urls.items()}
    for turn in range(turns):
        say(f"partitions: turn {turn + 1} of {turns}")
        for name, url in urls.items():
            with ours.opened(url) as store:
                each = [
                    each_time(partial(load, store), ours.row_id, rows, operations),
                    each_time(partial(ours.visit, store), int, rows, operations),
                    each_time(partial(list_owner, store), int, rows, operations),
                ]
            taken[name].append([median(times) for times in each])
    plain, timed, *_ = urls
    lines = []
    for name, url in urls.items():
        columns = zip(zip(*taken[name], strict=True), zip(*taken[plain], strict=True), strict=True)
        ratios = [ratio(times, others) for times, others in columns]
        updated, hot = map(int.__sub__, numbers(url, UPDATES), before[name])
        shown = [name, *ratios, f"{hot / updated:.1%}"]
        lines.append([*shown, "pruned", *beside(url, rows, partial(prune, url))])
    for name, (partition, texts) in DROPS.items():
        found = beside(urls[timed], rows, partial(run, urls[timed], texts, f"{T}_{partition}"))
        lines.append([timed, "", "", "", "", name, *found])
    header = ["partitions", "load", "load and save", "sessions_of", "HOT"]
    return table([*header, "a twelfth goes", "ms", "longest visit ms"], lines)


def beside(url: str, rows: int, work: Callable[[], object]) -> list[str]:
    """Milliseconds of the work, and of the longest visit to a newer row meanwhile."""
    with Visits(url, rows * (HOURS - 3) // HOURS) as visits:
        work()
    return [f"{visits.seconds * 1e3:,.0f}", visits.longest()]


def prune(url: str) -> None:
    """Delete what was created over eleven hours ago, as the pruner does."""
    with ours.opened(url) as store:
        while store.prune(utc_now() + timedelta(hours=2), 1_000):
            pass


def run(url: str, texts: list[str], name: str) -> None:
    with connect(url) as connection:
        for text in texts:
            connection.execute(text.format(name).encode())


def ratio(times: Sequence[float], others: Sequence[float]) -> str:
    return f"{median(a / b for a, b in zip(times, others, strict=True)):.2f}"
