"""The simulation says what can be told without one, and its report keeps what the docs promise."""

import re

import pytest

from benchmarks.scale import paper
from benchmarks.scale.model import Costs, Predicted, Site, predict
from benchmarks.scale.wal import Row
from tests import ROOT

COSTS = Costs(server=300, database=100, client=50, wait=150)
REPORT = (ROOT / "benchmarks/scale/SCALE.md").read_text("utf-8")
PAGE = (ROOT / "docs/scale.md").read_text("utf-8")


def about(value: float) -> object:
    return pytest.approx(value, rel=0.05)


def said(site: Site, costs: Costs = COSTS) -> Predicted:
    return predict(costs, site, pages=2_000)


def test_one_visitor_takes_what_the_parts_take() -> None:
    found = said(Site(visitors=1))
    assert found.rate == about(1e6 / 600)
    assert found.p50 == about(0.6)
    assert (found.server, found.database) == (about(300), about(100))
    assert found.busy == about(450 / 600 / 2)


def test_one_process_works_on_one_page_at_a_time() -> None:
    found = said(Site(visitors=16, cores=8))
    assert found.rate == about(1e6 / 300)
    assert found.p50 == about(16 * 0.3)


def test_processes_share_the_cores_of_their_machine_with_all_else_there() -> None:
    assert said(Site(visitors=16, processes=2)).rate == about(2e6 / 450)
    assert said(Site(visitors=16, processes=2, others=0.5)).rate == about(1.5e6 / 450)


def test_a_machine_whose_cores_all_have_work_is_slower() -> None:
    crowded = Costs(server=300, database=100, client=50, crowd=1.25)
    found = said(Site(visitors=16, processes=2), crowded)
    assert found.rate == about(2e6 / 450 / 1.25)
    assert found.server == about(375)
    assert said(Site(visitors=1), crowded).server == about(300)


def test_the_database_on_a_machine_of_its_own_is_the_bound_at_last() -> None:
    few = said(Site(visitors=64, processes=8, cores=8, database_cores=8))
    assert few.rate == about(8e6 / 300)
    many = said(Site(visitors=128, processes=32, cores=32, database_cores=2))
    assert many.rate == about(2e6 / 100)
    assert many.database_busy == about(1)


def test_the_log_has_an_image_for_each_page_and_a_record_for_each_visit() -> None:
    row = Row(table=1024, indexes=80, record=800, image=6000)
    assert row.log(rows=8, visits=100) == about(800 + 6000 / 100)  # all on one page
    assert row.log(rows=10**9, visits=1000) == about(6800)  # each on a page of its own


def block(name: str) -> str:
    return REPORT.partition(f"<!-- {name} -->")[2].partition("<!-- end -->")[0].strip()


def rows(name: str) -> dict[str, list[str]]:
    cells = [
        re.sub("<br>.*", "", line).strip("| ").split(" | ") for line in block(name).split("\n")
    ]
    return {first: rest for first, *rest in cells[2:]}


def test_what_is_needed_is_made_from_the_figures_of_the_reports() -> None:
    measured = [float(rest[0].replace(",", "")) for rest in list(rows("parts").values())[5:9]]
    assert paper.needs(Row(*measured)).strip() == block("needs")


def test_the_page_has_the_reports_figures() -> None:
    assert block("needs") in PAGE
    for number in [rest[0] for rest in list(rows("parts").values())[5:]]:
        assert number in PAGE


def test_what_was_predicted_is_within_20_percent_of_what_was_measured() -> None:
    ratios = {
        name: float(rest[2]) for name, rest in (rows("checked") | rows("rows")).items()
        if "p50" not in name
    }  # fmt: skip
    assert len(ratios) == 15
    assert {name: ratio for name, ratio in ratios.items() if not 0.8 <= ratio <= 1.2} == {}
