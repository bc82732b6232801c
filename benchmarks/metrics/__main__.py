"""Metrics of a real run, with an outage in it: `python -m benchmarks.metrics`, 2.5 minutes.

One pserve process of production.ini with `sessionsite.metrics`, PostgreSQL, and visitors who wait a
moment between two pages. PostgreSQL is stopped for 20 seconds; later, expired rows are put in, and
the process prunes them. The process is asked once per second; docs/metrics.svg is drawn of it.
"""

import argparse
import math
import random
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from itertools import pairwise
from pathlib import Path

import psycopg
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.over_time import Strip, over_time
from tests import ROOT
from tests.harness import free_port
from tests.harness.postgres import Postgres, start_postgres
from tests.harness.production import Browser, create_table, production_ini, start_worker

VISITORS = 8
PAUSE = 0.05  # seconds between two pages of a visitor, on average
PRUNE_INTERVAL = 20  # seconds, half of that more or less
FILL = """
INSERT INTO sessions (id, token_hash, payload, version, created_at, seen_at, expires_at)
SELECT 'old-' || n, '', '{}', 1, now() - interval '1 day', now() - interval '1 day',
       now() - interval '1 hour' FROM generate_series(1, %s) n
"""
Sample = dict[tuple[str, str], float]


def sample(port: int) -> Sample:
    """What the process says: by metric, and by the operation and bucket if it has these."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        (each.name, "/".join(each.labels[name] for name in sorted(each.labels, reverse=True))): (
            each.value
        )
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.name.startswith("sessionsite_")
    }


def visit(url: str, stop: threading.Event) -> None:
    browser = Browser(url)
    while not stop.wait(random.uniform(0, 2 * PAUSE)):  # noqa: S311  # no secret
        try:
            browser.get(f"/about?{random.random()}")  # noqa: S311  # another page: there is a change
        except OSError:
            continue


def rate(before: Sample, after: Sample, name: str, label: str = "") -> float:
    """How many per second."""
    return sum(
        after[key] - before.get(key, 0) for key in after if key[0] == name and label in key[1]
    )


def p99(before: Sample, after: Sample, operation: str) -> float:
    """The 99th percentile in milliseconds; within its bucket, as Prometheus has it: evenly."""
    buckets = sorted(
        (float(key[1].partition("/")[2]), after[key] - before.get(key, 0))
        for key in after
        if key[0] == "sessionsite_store_duration_seconds_bucket"
        and key[1].startswith(f"{operation}/")
    )
    wanted = 0.99 * buckets[-1][1] if buckets else 0
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if wanted and count >= wanted:
            return 1000 * (lower + (bound - lower) * (wanted - below) / (count - below))
        lower, below = bound, count
    return math.nan


def run(directory: Path, seconds: int, outage: tuple[int, int], rows: int) -> list[Sample]:
    """Return one sample per second."""
    (directory / "postgres").mkdir()
    with start_postgres(directory / "postgres") as postgres:
        url = postgres.create_database("metrics")
        create_table(url)
        port = free_port()
        config = production_ini(
            directory,
            "pyramid.includes = sessionsite.metrics",
            f"sessionsite.metrics.listen = 127.0.0.1:{port}",
            f"session.prune_interval = {PRUNE_INTERVAL}",
        )
        with start_worker(directory, config, DATABASE_URL=url) as worker:
            return watched(worker.url, port, postgres, url, (seconds, *outage, rows))


def fill(url: str, rows: int) -> None:
    """Put in expired rows."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(FILL, [rows])


def watched(
    site: str, port: int, postgres: Postgres, url: str, plan: tuple[int, int, int, int]
) -> list[Sample]:
    seconds, away, back, rows = plan
    stop = threading.Event()
    filling = threading.Thread(target=fill, args=(url, rows))
    visitors = [threading.Thread(target=visit, args=(site, stop)) for _ in range(VISITORS)]
    Browser(site).get("/about")  # the process listens from its first request on
    samples = []
    try:
        for each in visitors:
            each.start()
        began = time.monotonic()
        for second in range(seconds):
            time.sleep(max(0, began + second - time.monotonic()))
            if second == away:
                postgres.stop()
            elif second == back:
                postgres.start()
            elif second == back + 20:
                filling.start()
            samples.append(sample(port))
    finally:
        stop.set()
        for each in (filling, *visitors):
            if each.ident:
                each.join(30)
    return samples


def draw(samples: list[Sample], rows: int) -> str:
    pairs = list(pairwise(samples))
    away = [s for s, each in enumerate(samples) if each["sessionsite_store_away", ""]]
    calls, failures = "sessionsite_store_duration_seconds_count", "sessionsite_store_failures_total"
    pruned = "sessionsite_sessions_pruned_total"
    in_use = [each["sessionsite_pool_in_use", ""] for each in samples[1:]]
    return over_time(
        f"One process, {VISITORS} visitors, and {rows:,} expired rows; grey: the store is away",
        [
            Strip(
                "Calls of the store per second that succeed (blue) and fail (orange)",
                [rate(*pair, calls) - rate(*pair, failures) for pair in pairs],
                [rate(*pair, failures) for pair in pairs],
            ),
            Strip(
                "99th percentile of load (blue) and save (orange), milliseconds",
                [p99(*pair, "load") for pair in pairs],
                [p99(*pair, "save") for pair in pairs],
            ),
            Strip("Connections in use", in_use),
            Strip("Expired rows deleted per second", [rate(*pair, pruned) for pair in pairs]),
        ],
        [(away[0], away[-1])] if away else [],
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shows that it works; no picture")
    parser.add_argument("--output", type=Path, help="the picture (default: docs/metrics.svg)")
    args = parser.parse_args()
    seconds, outage, rows = (12, (4, 7), 100) if args.quick else (150, (40, 60), 200_000)
    with tempfile.TemporaryDirectory() as directory:
        samples = run(Path(directory), seconds, outage, rows)
    picture = draw(samples, rows)
    if output := args.output or (None if args.quick else ROOT / "docs" / "metrics.svg"):
        output.write_text(picture, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
