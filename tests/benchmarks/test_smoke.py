"""The benchmarks run to their end, on ours alone, and report figures; which ones, is not asked."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.harness import Missing
from tests.harness.postgres import bindirs
from tests.harness.redis import find_server
from tests.harness.skipping import required

pytestmark = [pytest.mark.all, pytest.mark.servers]


def needs(*programs: str) -> None:
    """Skip the test if PostgreSQL, of which the benchmarks start their own, or one is missing."""
    with required():
        if not bindirs():
            raise Missing("PostgreSQL", "apt install postgresql")
        for program in programs:
            path = f"{os.environ['PATH']}:{bindirs()[0]}"
            if not (
                find_server() if program == "redis-server" else shutil.which(program, path=path)
            ):
                raise Missing(program, "see benchmarks/README.md")


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


def test_speed_reports_what_a_page_of_ours_costs(tmp_path: Path) -> None:
    needs("wrk", "taskset", "redis-server")
    options = "--quick --only sessionsite sessionsite-redis sessionsite-none"
    cells = row(report("speed", options, tmp_path / "report.md"), "sessionsite on waitress (ours)")
    *numbers, statements, _ = cells[1:]
    assert statements == "1 SELECT, 1 UPDATE"
    for cell in numbers:
        assert re.match(r"[\d,.]*[1-9]", cell), cells
    assert "not measured" in row(
        (tmp_path / "report.md").read_text(), "waitress | requests/s, of Express's"
    )
    in_redis = row((tmp_path / "report.md").read_text(), "sessionsite on waitress, in Redis (ours)")
    assert re.match(r"[\d,.]*[1-9]", in_redis[1]), in_redis
    assert (tmp_path / "report.svg").read_text().startswith("<svg")


def test_metrics_draws_an_outage(tmp_path: Path) -> None:
    needs()
    drawn = report("metrics", "--quick", tmp_path / "metrics.svg")
    assert drawn.startswith("<svg")
    assert 'class="band"' in drawn


def test_races_count_what_goes_wrong_with_ours(tmp_path: Path) -> None:
    needs()
    table = report("races", "--quick --only sessionsite", tmp_path / "report.md")
    assert row(table, "keys lost, of 60")[1] == "0"
    assert row(table, "sessions alive after their logout, of 4")[1] == "0"
    assert row(table, "“not logged in” right after the login's redirect, of 4")[1] == "0"


def test_store_reports_its_rate_and_what_each_layer_costs(tmp_path: Path) -> None:
    needs("pgbench")
    table = report("store", "--quick", tmp_path / "report.md")
    assert all(float(cell.replace(",", "")) > 0 for cell in row(table, "1 |")[1:])
    assert float(row(table, "the whole store")[1]) > 0


def test_visit_reports_what_a_session_adds_beside_another_checkout(tmp_path: Path) -> None:
    needs()
    table = report("visit", f"--quick --against {ROOT}", tmp_path / "report.md")
    for store in ("memory", "SQLite", "PostgreSQL"):
        for text in ("a visit", "the same view opens and saves it"):
            now, before, ratio = (float(cell) for cell in row(table, f"{store}: {text}")[1:])
            assert min(now, before, ratio) > 0


def test_scale_predicts_and_measures(tmp_path: Path) -> None:
    needs("wrk", "taskset")
    table = report("scale", "--quick", tmp_path / "report.md")
    name = "2 processes, 16 visitors: pages/s"
    assert all(float(cell.replace(",", "")) > 0 for cell in row(table, name)[1:3])
    assert 0.5 < float(row(table, "200 visits to 2,000 rows: log")[3].partition("<")[0]) < 2
    assert len(row(table, "1,000,000,000")) == 9


def test_care_reports_what_a_setting_does_and_what_a_crash_leaves(tmp_path: Path) -> None:
    needs("pgbench")
    table = report("store.care", "--quick", tmp_path / "report.md")
    assert row(table, "never")[2] == "0"
    assert row(table, "80 %")[1].endswith("%")
    assert float(row(table, "`VACUUM FULL`")[3]) < float(row(table, "nothing")[3])
    assert row(table, "as it comes")[3:] == ["1,000 of 1,000", "0 of 100"]
    assert row(table, "`UNLOGGED`")[3] == "0 of 1,000"


def test_valkey_reports_what_a_failover_loses_and_how_long_pruning_takes(tmp_path: Path) -> None:
    needs("redis-server")
    table = report("valkey", "--quick", tmp_path / "report.md")
    runs, writes, lost, sessions, seconds = row(table, "Valkey or Redis, as it comes")[1:]
    assert (runs, int(lost.replace(",", "")) >= 0) == ("1", True)
    assert int(writes.replace(",", "")) > 100
    assert sessions.endswith(" of 24")
    assert float(seconds) > 0
    for kind in ("expired, of nobody", "live, of owners"):
        assert row(table, kind)[1] == "3,000"
