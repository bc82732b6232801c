"""RESULTS.md, and what is shown at the end of a run.

Drawn anew from what was measured: `python -m benchmarks.report benchmarks/results.json`.
"""
# ruff: noqa: RUF001, T201  # an en dash is meant

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import chart
from benchmarks.cli import table
from benchmarks.figures import Figure, Figures, Results, ratio, spread
from benchmarks.goals import Goal, goals, session_costs

HEAD = (
    *("", "requests/s", "of Express", "p50 ms", "p99 ms", "of Express", "server CPU µs"),
    *("database CPU µs", "both, of Express", "statements", "peak MiB", "page bytes"),
)


def write(results: Results, folder: Path) -> Path:
    """Write RESULTS.md, with its chart and the figures beside it; return its path."""
    folder.mkdir(exist_ok=True)
    processes = results.settings["processes"]
    suffix = "" if processes == 1 else f"-{processes}-processes"
    results.save(folder / f"results{suffix}.json")
    (folder / f"results{suffix}.svg").write_text(chart.draw(results))
    report = folder / f"RESULTS{suffix}.md"
    report.write_text(markdown(results, f"results{suffix}"))
    return report


def markdown(results: Results, stem: str) -> str:
    processes = results.settings["processes"]
    number = "One process" if processes == 1 else f"{processes} processes"
    settings = results.settings
    parts = [
        "# What a session costs: ours and its peers",
        f"{number} of each, {settings['connections']} connections, each with its own cookie; "
        f"{settings['rounds']} rounds of {settings['seconds']:g} s, in turns. {results.when}, at "
        f"{results.commit}. [README.md](README.md) says what is measured, and how to measure it "
        f"again; [{stem}.json]({stem}.json) has every round.",
        _pinned(results.contestants.values()),
        _costs(results),
        f"![The figures of this page as bars]({stem}.svg)",
        "## Side by side",
        "Medians; below them the lowest and the highest of all rounds. What is “of Express” was "
        "computed in each round by itself, so that what slows the machine down slows down both.",
        table(HEAD, [_row(results, key) for key in results.contestants]),
        "“Database” is PostgreSQL, or Redis for pyramid_session_redis; its “statements” are "
        f"commands. {_statements(results.contestants.values())}",
        "## Goals",
        table(("", "goal", "measured", ""), [_goal(goal) for goal in goals(results)]),
    ]
    if results.missing:
        lines = [f"- **{name}**: {reason}" for name, reason in results.missing.items()]
        parts += ["## Not measured", "\n".join(lines)]
    if results.remarks:
        parts += ["## Remarks", "\n".join(f"- {remark}" for remark in results.remarks)]
    parts += ["## Machine and versions", _machine(results)]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def _pinned(contestants: Iterable[Figures]) -> str:
    names = [figures.name for figures in contestants if figures.pinned]
    if not names:
        return "No process is pinned to a core."
    return (
        f"Each process pinned to one core: {'; '.join(names)}. The threads of a Python process "
        "share one GIL, and on several cores they spend CPU on handing it over. All others run on "
        "any core: PostgreSQL, Redis, wrk, and node, which has helper threads and gains nothing."
    )


def _costs(results: Results) -> str:
    if not (costs := session_costs(results)):
        return "What a session adds was not measured: one of the four who show it is missing."
    rows = [
        (
            cost.text,
            f"{_number(cost.express.median)} {cost.unit}",
            f"**{_number(cost.ours.median)} {cost.unit}**",
            f"**{cost.ratio.median:.2f}** ({cost.ratio.low:.2f}–{cost.ratio.high:.2f})",
            f"≤ {cost.wanted:g}" if cost.wanted is not None else "",
        )
        for cost in costs
    ]
    head = ("What the session adds", "Express", "ours", "ours of Express's", "goal")
    note = "To each request, against the same pages from the same server without a session."
    return f"{table(head, rows)}\n{note}"


def _row(results: Results, key: str) -> Sequence[str]:
    figures, express = results.contestants[key], results.contestants.get("express")

    def both(figure: Figure, decimals: int | None = None) -> str:
        found = spread(figures, figure)
        low, high = _number(found.low, decimals), _number(found.high, decimals)
        return f"{_number(found.median, decimals)}<br><small>{low}–{high}</small>"

    def relative(figure: Figure) -> str:
        if express is None:
            return ""
        found = ratio(figures, express, figure)
        return f"**{found.median:.2f}**<br><small>{found.low:.2f}–{found.high:.2f}</small>"

    name = f"**{figures.name}**" if key == "ours" else figures.name
    sizes = sorted(figures.sizes.values())
    return (
        name,
        both(lambda r: r.rate),
        relative(lambda r: r.rate),
        both(lambda r: r.p50 / 1000, 1),
        both(lambda r: r.p99 / 1000, 1),
        relative(lambda r: r.p99),
        both(lambda r: r.server_cpu),
        both(lambda r: r.database_cpu) if figures.store else "–",
        relative(lambda r: r.cpu),
        f"{figures.statements:g}" if figures.store else "–",
        f"{figures.peak_memory / 2**20:.0f}",
        f"{sizes[0]}–{sizes[-1]}",
    )


def _statements(contestants: Iterable[Figures]) -> str:
    told = []
    for figures in contestants:
        kinds = figures.statement_kinds.items()
        words = [kind if n == 1 else f"{n:g} {kind}" for kind, n in kinds]
        if words:
            told.append(f"{figures.name}: {', '.join(words)}.")
    return " ".join(told)


def _goal(goal: Goal) -> Sequence[str]:
    sign = "≥" if goal.at_least else "≤"
    found = "not measured" if goal.found is None else f"{goal.found.median:.2f}"
    return goal.text, f"{sign} {goal.wanted:g}", found, goal.verdict


def _machine(results: Results) -> str:
    facts = [f"{name}: {value}" for name, value in results.machine.items()]
    durable = "waits" if results.settings["durable"] else "does not wait"
    lines = [
        f"- {'; '.join(facts)}",
        f"- PostgreSQL {durable} for the disk at each commit; all on one machine",
    ]
    listed_already: list[dict[str, str]] = []
    for key, versions in results.versions.items():
        if versions in listed_already:  # of who is the same without a session
            continue
        listed_already.append(versions)
        listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        lines.append(f"- {key}: {listed}")
    return "\n".join(lines)


def _number(value: float, decimals: int | None = None) -> str:
    if decimals is None:
        decimals = 0 if abs(value) >= 100 else 1
    return f"{value:,.{decimals}f}"


def summary(results: Results) -> str:
    """The report in short, for a terminal."""
    lines = ["", f"{'':32}requests/s  p50 ms  p99 ms  server µs  database µs  statements  MiB"]
    for figures in results.contestants.values():
        middle = [spread(figures, figure).median for figure in _SUMMARY]
        lines.append(
            f"{figures.name:32}{middle[0]:10.0f}{middle[1]:8.1f}{middle[2]:8.1f}{middle[3]:11.0f}"
            f"{middle[4]:13.0f}{figures.statements:12g}{figures.peak_memory / 2**20:5.0f}"
        )
    lines.append("")
    for goal in goals(results):
        text, wanted, found, met = _goal(goal)
        lines.append(f"{text:50}{wanted:>6}   {found:>12}   {met}")
    lines += [f"NOT MEASURED: {name}: {reason}" for name, reason in results.missing.items()]
    return "\n".join([*lines, *results.remarks, ""])


_SUMMARY: tuple[Figure, ...] = (
    lambda r: r.rate,
    lambda r: r.p50 / 1000,
    lambda r: r.p99 / 1000,
    lambda r: r.server_cpu,
    lambda r: r.database_cpu,
)


if __name__ == "__main__":
    source = Path(sys.argv[1])
    print(write(Results.load(source), source.parent))
