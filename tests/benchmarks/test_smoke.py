"""The benchmarks run to their end, on ours alone, and report figures, whatever the figures are."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.harness import Missing
from tests.harness.postgres import bindirs
from tests.harness.skipping import required

pytestmark = [pytest.mark.all, pytest.mark.servers]


@pytest.fixture(autouse=True)
def own_postgres() -> None:
    """The benchmarks start a PostgreSQL of their own."""
    with required():
        if not bindirs():
            raise Missing("PostgreSQL", "apt install postgresql")


@pytest.fixture
def wrk() -> None:
    with required():
        if not shutil.which("wrk"):
            raise Missing("wrk", "apt install wrk")


@pytest.fixture
def pgbench() -> None:
    with required():
        if not any((directory / "pgbench").exists() for directory in bindirs()[:1]):
            raise Missing("pgbench", "apt install postgresql")


def report(name: str, options: str, path: Path) -> str:
    """The report that `python -m benchmarks.NAME` writes, which must succeed."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *options.split(), "--output", str(path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return path.read_text()


def row(table: str, start: str) -> list[str]:
    """The cells of the first row whose first cell begins with `start`."""
    found = re.search(rf"^\| (\**{re.escape(start)}.*) \|$", table, re.MULTILINE)
    assert found, table
    return found[1].split(" | ")


@pytest.mark.usefixtures("wrk")
def test_speed_reports_what_a_page_of_ours_costs(tmp_path: Path) -> None:
    options = "--quick --only sessionsite --here --rounds 1 --seconds 1"
    cells = row(report("speed", options, tmp_path / "report.md"), "Pyramid, sessionsite (ours)")
    per_second, _, p50, p99, _, server, database, _, statements, memory, size = cells[1:]
    for cell in (per_second, p50, p99, server, database, statements, memory, size):
        assert re.match(r"[\d,.]*[1-9]", cell), cells
    assert "not measured" in row((tmp_path / "report.md").read_text(), "requests/s, of Express's")
    assert (tmp_path / "report.svg").read_text().startswith("<svg")


def test_races_count_what_goes_wrong_with_ours(tmp_path: Path) -> None:
    options = "--quick --only sessionsite --here --races 4"
    table = report("races", options, tmp_path / "report.md")
    assert row(table, "keys lost, of 60")[1] == "0"
    assert row(table, "sessions alive after their logout, of 4")[1] == "0"
    assert row(table, "“not logged in” right after the login's redirect, of 4")[1] == "0"


@pytest.mark.usefixtures("pgbench")
def test_store_reports_its_rate_and_what_each_layer_costs(tmp_path: Path) -> None:
    table = report("store", "--seconds 0.2 --clients 1", tmp_path / "report.md")
    assert all(float(cell.replace(",", "")) > 0 for cell in row(table, "1 |")[1:])
    assert float(row(table, "the whole store")[1]) > 0
