"""docs/why.md: its figures are those that the benchmarks have written."""

import re

from tests import ROOT

DOCUMENT = (ROOT / "docs" / "why.md").read_text("utf-8")
SPEED = (ROOT / "benchmarks/speed/RESULTS.md").read_text("utf-8")
RACES = (ROOT / "benchmarks/races/RACES.md").read_text("utf-8")
NAMES = {"Pyramid, sessionsite on PostgreSQL": "**Pyramid, sessionsite (ours)**"}


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


def test_the_speeds_are_the_reports() -> None:
    report = rows(SPEED, "|  | requests/s | p50")
    for name, figures in rows(DOCUMENT, "| | requests/s").items():
        found = report[NAMES.get(name, name)]
        assert figures == {
            "requests/s": found["requests/s"],
            "p99 ms": found["p99, ms"],
            "server and database CPU µs": found["server and database CPU, µs"],
            "MiB": found["peak memory, MiB"],
        }


def test_the_losses_are_the_reports() -> None:
    text = " ".join(DOCUMENT.split())
    redis = rows(RACES, "|  | Pyramid, pyramid_session_redis |")
    ours = rows(RACES, "|  | Express, connect-pg-simple")
    (keys,) = redis["keys lost, of 400 set in parallel"].values()
    (alive,) = redis["sessions alive after their logout, of 500"].values()
    assert f"Of 400 keys that were set in parallel it lost {keys}, and this project none" in text
    assert f"{alive} of 500 sessions were alive after their logout, none here" in text
    for what in ("keys lost, of 400 set in parallel", "sessions alive after their logout, of 500"):
        assert ours[what]["this project"] == "0"
