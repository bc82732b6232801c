"""RESULTS.md, its chart, and what is shown at the end of a run."""
# ruff: noqa: RUF001  # an en dash is meant

from benchmarks.chart import Drawing
from benchmarks.cli import table
from benchmarks.speed.figures import (
    Cost,
    Figure,
    Results,
    goals,
    ratio,
    session_costs,
    spread,
)

TITLE = "What a session costs: ours and its peers"
# Heading, figure, decimals (None: as the number needs), whether it is compared with Express's.
COLUMNS: tuple[tuple[str, Figure, int | None, bool], ...] = (
    ("requests/s", lambda r: r.rate, None, False),
    ("of Express", lambda r: r.rate, 2, True),
    ("p50 ms", lambda r: r.p50 / 1000, 1, False),
    ("p99 ms", lambda r: r.p99 / 1000, 1, False),
    ("of Express", lambda r: r.p99, 2, True),
    ("server CPU µs", lambda r: r.server_cpu, None, False),
    ("database CPU µs", lambda r: r.database_cpu, None, False),
    ("both, of Express", lambda r: r.cpu, 2, True),
)


def markdown(results: Results, chart: str) -> str:
    """The report; `chart` is the name of the file beside it."""
    settings, processes = results.settings, results.settings["processes"]
    number = "One process" if processes == 1 else f"{processes} processes"
    told = [
        f"{each.name}: {', '.join(f'{n:g} {kind}' for kind, n in each.statements.items())}."
        for each in results.stacks.values()
        if each.statements
    ]
    parts = [
        f"# {TITLE}",
        f"{number} of each, {settings['connections']} connections, each with its own cookie; "
        f"{settings['rounds']} rounds of {settings['seconds']:g} s, in turns. {results.when}, at "
        f"{results.commit}. [README.md](../README.md) says what is measured, and how to measure it "
        "again.",
        _pinned(results),
        _costs(results),
        f"![The figures of this page as bars]({chart})",
        "## Side by side",
        "Medians; below them the lowest and the highest of all rounds. What is “of Express” was "
        "computed in each round by itself, so that what slows the machine down slows down both.",
        side_by_side(results),
        "“Database” is PostgreSQL, or Redis for pyramid_session_redis; its “statements” are "
        f"commands. {' '.join(told)}",
        "## Goals",
        goals_table(results),
    ]
    if results.missing:
        lines = [f"- **{name}**: {reason}" for name, reason in results.missing.items()]
        parts += ["## Not measured", "\n".join(lines)]
    if results.remarks:
        parts += ["## Remarks", "\n".join(f"- {remark}" for remark in results.remarks)]
    parts += ["## Machine and versions", _machine(results)]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def _pinned(results: Results) -> str:
    names = [figures.name for figures in results.stacks.values() if figures.pinned]
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


def side_by_side(results: Results) -> str:
    express = results.stacks.get("express")
    rows = []
    for key, figures in results.stacks.items():
        row = [f"**{figures.name}**" if key == "sessionsite" else figures.name]
        for heading, figure, decimals, relative in COLUMNS:
            if (relative and express is None) or (heading[:8] == "database" and not figures.store):
                row.append("–")
                continue
            found = (
                ratio(figures, express, figure) if relative and express else spread(figures, figure)
            )
            low, middle, high = (
                _number(each, decimals) for each in (found.low, found.median, found.high)
            )
            middle = f"**{middle}**" if relative else middle
            row.append(f"{middle}<br><small>{low}–{high}</small>")
        row.append(f"{sum(figures.statements.values()):g}" if figures.store else "–")
        row.append(f"{figures.peak_memory / 2**20:.0f}")
        rows.append([*row, f"{min(figures.sizes)}–{max(figures.sizes)}"])
    headings = [heading for heading, *_ in COLUMNS]
    return table(["", *headings, "statements", "peak MiB", "page bytes"], rows)


def goals_table(results: Results) -> str:
    rows = [
        (
            goal.text,
            f"{'≥' if goal.at_least else '≤'} {goal.wanted:g}",
            "not measured" if goal.found is None else f"{goal.found.median:.2f}",
            goal.verdict,
        )
        for goal in goals(results)
    ]
    return table(("", "goal", "measured", ""), rows)


def _machine(results: Results) -> str:
    facts = [f"{name}: {value}" for name, value in results.machine.items()]
    durable = "waits" if results.settings["durable"] else "does not wait"
    lines = [
        f"- {'; '.join(facts)}",
        f"- PostgreSQL {durable} for the disk at each commit; all on one machine",
    ]
    listed: list[dict[str, str]] = []
    for key, versions in results.versions.items():
        if versions not in listed:  # the same stack without a session has the same
            listed.append(versions)
            names = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
            lines.append(f"- {key}: {names}")
    return "\n".join(lines)


def _number(value: float, decimals: int | None = None) -> str:
    if decimals is None:
        decimals = 0 if abs(value) >= 100 else 1
    return f"{value:,.{decimals}f}"


def summary(results: Results) -> str:
    """The report in short, for a terminal."""
    lines = ["", f"{'':32}requests/s  p50 ms  p99 ms  server µs  database µs  statements  MiB"]
    figures = [figure for _, figure, _, relative in COLUMNS if not relative]
    for each in results.stacks.values():
        rate, p50, p99, server, database = (spread(each, figure).median for figure in figures)
        lines.append(
            f"{each.name:32}{rate:10.0f}{p50:8.1f}{p99:8.1f}{server:11.0f}{database:13.0f}"
            f"{sum(each.statements.values()):12g}{each.peak_memory / 2**20:5.0f}"
        )
    lines += ["", goals_table(results)]
    lines += [f"NOT MEASURED: {name}: {reason}" for name, reason in results.missing.items()]
    return "\n".join([*lines, *results.remarks, ""])


def chart(results: Results) -> str:
    drawing = Drawing()
    for cost in session_costs(results):
        if cost.wanted is not None:
            _draw_cost(drawing, cost)
    sessions = [each for each in results.stacks.values() if each.store]
    rates = [spread(each, lambda r: r.rate).median for each in sessions]
    drawing.heading("Requests per second")
    for each, rate in zip(sessions, rates, strict=True):
        drawing.bar(each.name, [("server", rate)], f"{rate:,.0f}", max(rates))
    drawing.heading("CPU for each request, in microseconds")
    drawing.legend([("server", "server"), ("database", "PostgreSQL, or Redis")])
    totals = [spread(each, lambda r: r.cpu).median for each in results.stacks.values()]
    for each, total in zip(results.stacks.values(), totals, strict=True):
        database = spread(each, lambda r: r.database_cpu).median if each.store else 0
        server = spread(each, lambda r: r.server_cpu).median
        pieces = [("server" if each.store else "server faint", server), ("database", database)]
        drawing.bar(each.name, pieces, f"{total:,.0f}", max(totals))
    return drawing.svg(TITLE)


def _draw_cost(drawing: Drawing, cost: Cost) -> None:
    text = f"{cost.text[0].upper()}{cost.text[1:]} that the session adds to a request"
    drawing.heading(f"{text} (the broken line: our goal)")
    scale = max(cost.express.median, cost.ours.median)
    digits = 0 if cost.unit == "µs" else 1
    for label, found in (("Express, connect-pg-simple", cost.express), ("ours", cost.ours)):
        pieces = [("server", found.median)]
        limit = (cost.wanted or 0) * cost.express.median if label == "ours" else None
        drawing.bar(label, pieces, f"{found.median:,.{digits}f} {cost.unit}", scale, limit)
