"""The figures of speed in the README and the docs are those that the benchmarks have written."""

import re
from pathlib import Path

import pytest

from tests import ROOT

SPEED, TWO, RACES = (
    (ROOT / "benchmarks" / name).read_text("utf-8")
    for name in ("speed/RESULTS.md", "speed/RESULTS-2-processes.md", "races/RACES.md")
)
WHY = ROOT / "docs" / "why.md"
SERVERS = ("waitress", "granian")
COLUMNS = {
    "requests/s": "requests/s",
    "p99 ms": "p99, ms",
    "server and database CPU µs": "server and database CPU, µs",
    "MiB": "peak memory, MiB",
}


def cells(line: str) -> list[str]:
    return [re.sub("<br>.*", "", cell).strip() for cell in line.strip()[1:-1].split("|")]


def rows(text: str, head: str) -> dict[str, dict[str, str]]:
    """The table whose head begins so: name to column to figure."""
    (table,) = re.findall(rf"(?m)^{re.escape(head)}.*\n\|[-:| ]+\n((?:\|.*\n)+)", text)
    columns = cells(re.findall(rf"(?m)^{re.escape(head)}.*$", text)[0])
    return {
        row[0]: dict(zip(columns[1:], row[1:], strict=True))
        for row in map(cells, table.splitlines())
    }


def ratio(report: str, server: str, what: str) -> str:
    """What a report has measured beside one of its goals."""
    (found,) = re.findall(rf"(?m)^\| {server} \| {re.escape(what)} \|[^|]*\| ([\d.]+)<", report)
    return str(found)


@pytest.mark.parametrize("name", ["failover", "pruning"])
def test_the_page_on_valkey_has_its_reports_tables(name: str) -> None:
    report = (ROOT / "benchmarks" / "valkey" / "VALKEY.md").read_text("utf-8")
    block = report.partition(f"<!-- {name} -->")[2].partition("<!-- end -->")[0].strip()
    assert block.startswith("|")
    assert block in (ROOT / "docs" / "valkey.md").read_text("utf-8")


def test_the_store_in_redis_has_its_reports_figures() -> None:
    report = rows(
        (ROOT / "benchmarks" / "speed" / "RESULTS-redis.md").read_text("utf-8"),
        "|  | requests/s | p50",
    )
    text = (ROOT / "docs" / "valkey.md").read_text("utf-8")
    table = rows(text, "| | requests/s")
    names = {
        "in Redis, this store": "sessionsite on waitress, in Redis (ours)",
        "in PostgreSQL": "**sessionsite on waitress (ours)**",
        "pyramid_session_redis": "pyramid_session_redis on waitress",
    }
    columns = COLUMNS | {"server CPU µs": "server CPU, µs", "database CPU µs": "database CPU, µs"}
    assert table.keys() == names.keys()
    for name, figures in table.items():
        assert figures == {column: report[names[name]][columns[column]] for column in figures}


@pytest.mark.parametrize("path", [ROOT / "README.md", WHY], ids=lambda path: path.name)
def test_the_tables_are_the_reports(path: Path) -> None:
    report = rows(SPEED, "|  | requests/s | p50")
    table = rows(path.read_text("utf-8"), "| | requests/s")
    assert len(table) > 2
    for name, figures in table.items():
        assert figures == {column: report[name][COLUMNS[column]] for column in figures}


def test_the_ratios_are_the_reports() -> None:
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    more, more_on_granian = (ratio(TWO, on, "requests/s, of Express's") for on in SERVERS)
    p99, p99_on_granian = (ratio(TWO, on, "p99, of Express's") for on in SERVERS)
    assert f"answers {more} times as many requests as Express, {more_on_granian} on granian" in text
    assert f"p99 is {p99} of Express's, {p99_on_granian} on granian" in text


def test_which_server_has_the_reports_figures() -> None:
    text = " ".join((ROOT / "docs" / "deployment.md").read_text("utf-8").split())
    report = rows(SPEED, "|  | requests/s | p50")
    ours = [report[f"**sessionsite on {server} (ours)**"] for server in SERVERS]
    rates, tails, cpu, memory = ([each[name] for each in ours] for name in COLUMNS.values())
    for low, high in (rates, tails, cpu, memory):
        assert f"{high} instead of {low}" in text


def test_the_losses_are_the_reports() -> None:
    text = " ".join(WHY.read_text("utf-8").split())
    redis = rows(RACES, "|  | Pyramid, pyramid_session_redis |")
    ours = rows(RACES, "|  | Express, connect-pg-simple")
    (keys,) = redis["keys lost, of 400 set in parallel"].values()
    (alive,) = redis["sessions alive after their logout, of 500"].values()
    assert f"Of 400 keys that were set in parallel it lost {keys}, and this project none" in text
    assert f"{alive} of 500 sessions were alive after their logout, none here" in text
    for what in ("keys lost, of 400 set in parallel", "sessions alive after their logout, of 500"):
        assert ours[what]["this project"] == "0"
