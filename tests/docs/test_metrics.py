"""docs/operations.md has every metric, and no other."""

import re

from sessionsite.metrics.instruments import Counter, Gauge, Histogram
from tests import ROOT

DOCUMENT = (ROOT / "docs" / "operations.md").read_text("utf-8")


def documented() -> set[str]:
    """The table's names; `_open` after `sessionsite_pool_limit` is `sessionsite_pool_open`."""
    table = DOCUMENT.partition("| metric | what it is |\n|---|---|\n")[2].partition("\n\n")[0]
    names = set()
    for row in table.splitlines():
        first, *others = re.findall("`(.*?)`", row.split("|")[1])
        group = "_".join(first.split("_")[:2])
        names |= {first, *(group + other for other in others)}
    return names


def test_the_page_has_every_metric_and_no_other() -> None:
    made = {
        what.value.name.replace(".", "_")
        + ("_seconds" if what.value.unit == "s" else "")
        + ("_total" if kind is Counter else "")
        + (f"{{{what.value.label}}}" if what.value.label else "")
        for kind in (Counter, Gauge, Histogram)
        for what in kind
    }
    assert documented() == made
