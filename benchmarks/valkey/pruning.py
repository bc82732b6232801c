"""How long it takes to prune many rows, and what a load and a save take meanwhile."""

import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import quantiles

from redis import Redis as Client

from benchmarks.cli import say, table
from sessionsite.sessions import Record, prune_all, utc_now
from sessionsite.sessions.valkey import ValkeyStore
from sessionsite.sessions.valkey.rows import pack
from sessionsite.testing import record
from tests.harness.redis import start_redis
from tests.harness.stores import valkey_store

PAUSE = 0.005  # seconds between two visits
PAYLOAD = f'{{"history": "{"x" * 600}"}}'
FILL = 1000  # rows per round trip
HEADER = ["", "rows", "seconds", "rows a second", "a visit meanwhile, p99 ms", "without"]


class Visits(threading.Thread):
    """Loads and saves a session now and then, in the process that prunes, as a site does."""

    def __init__(self, store: ValkeyStore) -> None:
        super().__init__()
        self._store = store
        self._stopped = threading.Event()
        self.taken: list[float] = []

    def run(self) -> None:
        while not self._stopped.wait(PAUSE):
            began = time.perf_counter()
            found = self._store.load("id-live", utc_now())
            if found is None or not self._store.save(found, found.version, utc_now()):
                raise RuntimeError("the session is gone")
            self.taken.append(1000 * (time.perf_counter() - began))

    def p99(self) -> float:
        """End, and return what a visit took, in milliseconds."""
        self._stopped.set()
        self.join()
        return quantiles(self.taken, n=100)[98]


def fill(store: ValkeyStore, url: str, rows: int, each: Record) -> None:
    """Store so many copies of `each`; each of its owners has three."""
    with Client.from_url(url) as client:
        for start in range(0, rows, FILL):
            with client.pipeline(transaction=False) as pipeline:
                for number in range(start, start + FILL):
                    owner = each.owner and f"{each.owner}-{number // 3}"
                    row = replace(each, id=f"{number:022}", owner=owner)
                    pipeline.set(store.keys.session(row.id)[0], pack(row))
                    if owner:
                        pipeline.zadd(store.keys.owner(owner)[0], {row.id: 1})
                pipeline.execute()


def measure(rows: int, directory: Path) -> str:
    """Return the table."""
    now = utc_now()
    gone, live = now - timedelta(seconds=1), now + timedelta(days=1)
    kinds = {
        "expired, of nobody": record(payload=PAYLOAD, expires_at=gone),
        "expired, of owners": record(payload=PAYLOAD, expires_at=gone, owner="user"),
        "live, of nobody": record(payload=PAYLOAD, expires_at=live),
        "live, of owners": record(payload=PAYLOAD, expires_at=live, owner="user"),
    }
    lines = []
    for name, each in kinds.items():
        say(name)
        with start_redis(directory) as server, closing(valkey_store(server.url)) as store:
            store.create(record("live", expires_at=None))
            fill(store, server.url, rows, each)
            alone = Visits(store)
            alone.start()
            time.sleep(2)
            without = alone.p99()
            meanwhile = Visits(store)
            meanwhile.start()
            began = time.perf_counter()
            pruned = sum(prune_all(store, now))
            seconds = time.perf_counter() - began
            if pruned != (rows if each.expired(now) else 0):
                raise RuntimeError(f"{pruned} rows of {rows} were pruned")
            figures = (f"{rows:,}", f"{seconds:.1f}", f"{rows / seconds:,.0f}")
            lines.append([name, *figures, f"{meanwhile.p99():.1f}", f"{without:.1f}"])
            say(str(lines[-1]))
    return table(HEADER, lines)
