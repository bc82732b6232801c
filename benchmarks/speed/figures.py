"""The figures of a run, and what its page shows of them."""
# ruff: noqa: RUF001  # an en dash is meant

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import sub, truediv
from statistics import median

from benchmarks.chart import Bar, chart
from benchmarks.cli import Blocks, table
from benchmarks.peers.stacks import Stack


@dataclass(frozen=True)
class Round:
    """One stack under load for some seconds."""

    rate: float
    """Requests per second."""
    p50: float
    p99: float
    """Milliseconds."""
    server: float
    """CPU of all its processes, in microseconds per request."""
    database: float
    """CPU of PostgreSQL, or Redis, in microseconds per request."""
    others: float
    """The share of the machine that processes took that are none of the benchmark's."""

    @property
    def cpu(self) -> float:
        return self.server + self.database


@dataclass
class Figures:
    """One stack, over all rounds."""

    stack: Stack
    bytes_of_pages: list[int]
    rounds: list[Round] = field(default_factory=list)
    statements: Counter[str] = field(default_factory=Counter)
    """How many of each kind `counted` visits needed."""
    counted: int = 1
    peak_memory: int = 0
    """Bytes, of all its processes."""

    @property
    def per_visit(self) -> dict[str, float]:
        found = {kind: round(n / self.counted, 2) for kind, n in self.statements.items()}
        # Once or twice in all: the store's own, not the visits'.
        return {kind: n for kind, n in found.items() if n > 0.02}


class Results(dict[str, Figures]):
    """What was found, by the stack's key. Who is not there raises KeyError.

    All is computed in each round by itself: what was measured side by side.
    """

    def all(self, key: str, figure: str) -> list[float]:
        return [getattr(each, figure) for each in self[key].rounds]

    def ratio(self, key: str, other: str, figure: str) -> list[float]:
        return list(map(truediv, self.all(key, figure), self.all(other, figure)))

    def added(self, key: str, figure: str) -> list[float]:
        """What the session adds to the same pages without one."""
        return list(map(sub, self.all(key, figure), self.all(f"{key}-none", figure)))

    def added_ratio(self, figure: str) -> list[float]:
        ours, express = self.added("sessionsite", figure), self.added("express", figure)
        return list(map(truediv, ours, express))


COSTS = {"server": "server CPU, µs", "p99": "p99, ms", "cpu": "server and database CPU, µs"}
# Heading, figure, whether it is that of Express.
COLUMNS = (
    ("requests/s", "rate", False),
    ("of Express", "rate", True),
    ("p50 ms", "p50", False),
    ("p99 ms", "p99", False),
    ("of Express", "p99", True),
    ("server CPU µs", "server", False),
    ("database CPU µs", "database", False),
    ("both, of Express", "cpu", True),
)
# What is to be reached: the text, the values that count, the goal, whether more is better.
GOALS: tuple[tuple[str, Callable[[Results], Sequence[float]], float, bool], ...] = (
    (
        "server CPU that the session adds, of Express's",
        lambda r: r.added_ratio("server"),
        0.5,
        False,
    ),
    ("p99 that the session adds, of Express's", lambda r: r.added_ratio("p99"), 0.5, False),
    ("requests/s, of Express's", lambda r: r.ratio("sessionsite", "express", "rate"), 1.5, True),
    ("p99, of Express's", lambda r: r.ratio("sessionsite", "express", "p99"), 1.0, False),
    (
        "server and database CPU, of Express's",
        lambda r: r.ratio("sessionsite", "express", "cpu"),
        0.6,
        False,
    ),
    ("requests/s, of Django's", lambda r: r.ratio("sessionsite", "django", "rate"), 5.0, True),
    (
        "requests/s, of Flask-Session's",
        lambda r: r.ratio("sessionsite", "flask", "rate"),
        6.0,
        True,
    ),
    ("statements per request", lambda r: [sum(r["sessionsite"].per_visit.values())], 2.0, False),
    (
        "peak memory, of Express's",
        lambda r: [r["sessionsite"].peak_memory / r["express"].peak_memory],
        1.0,
        False,
    ),
)


def number(value: float, decimals: int | None = None) -> str:
    if decimals is None:
        decimals = 0 if abs(value) >= 100 else 1
    return f"{value:,.{decimals}f}"


def cell(values: Sequence[float], *, relative: bool = False) -> str:
    """The median; below it the lowest and the highest."""
    decimals = 2 if relative else None
    low, middle, high = (number(f(values), decimals) for f in (min, median, max))
    return f"{f'**{middle}**' if relative else middle}<br><small>{low}–{high}</small>"


def costs(results: Results) -> str:
    """What the session adds to each request."""
    try:
        rows = [
            [
                text,
                cell(results.added("express", figure)),
                cell(results.added("sessionsite", figure)),
                cell(results.added_ratio(figure), relative=True),
            ]
            for figure, text in COSTS.items()
        ]
    except KeyError as missing:
        return f"Not measured: {missing} took no part.\n"
    return table(["what the session adds", "Express", "ours", "ours of Express's"], rows)


def side_by_side(results: Results) -> str:
    rows = []
    for key, found in results.items():
        row = [f"**{found.stack.name}**" if key == "sessionsite" else found.stack.name]
        for _, figure, relative in COLUMNS:
            if (relative and "express" not in results) or (
                figure == "database" and not found.stack.store
            ):
                row.append("–")
            elif relative:
                row.append(cell(results.ratio(key, "express", figure), relative=True))
            else:
                row.append(cell(results.all(key, figure)))
        row.append(", ".join(f"{n:g} {kind}" for kind, n in found.per_visit.items()) or "–")
        row.append(f"{found.peak_memory / 2**20:.0f}")
        rows.append([*row, f"{min(found.bytes_of_pages)}–{max(found.bytes_of_pages)}"])
    headings = [heading for heading, *_ in COLUMNS]
    return table(["", *headings, "statements", "peak MiB", "page bytes"], rows)


def goals(results: Results) -> str:
    rows = []
    for text, values, goal, more in GOALS:
        try:
            found = values(results)
        except KeyError:
            measured, verdict = "not measured", ""
        else:
            middle = round(median(found), 2)
            measured = f"{middle:.2f}"
            verdict = "met" if (middle >= goal if more else middle <= goal) else "missed"
            if min(found) <= 0:  # a session that adds less than nothing
                verdict = "too noisy to tell"
        rows.append([text, f"{'≥' if more else '≤'} {goal:g}", measured, verdict])
    return table(["", "goal", "measured", ""], rows)


def drawn(results: Results) -> str:
    parts = []
    for figure in ("server", "p99"):
        if results.keys() >= {"express", "express-none", "sessionsite", "sessionsite-none"}:
            both = {"Express, connect-pg-simple": "express", "ours": "sessionsite"}
            values = {name: median(results.added(key, figure)) for name, key in both.items()}
            bars = [Bar(name, number(value), max(value, 0)) for name, value in values.items()]
            parts.append((f"What the session adds to a request: {COSTS[figure]}", bars))
    rates = [
        Bar(found.stack.name, number(rate), rate)
        for key, found in results.items()
        if found.stack.store
        for rate in [median(results.all(key, "rate"))]
    ]
    cpu = [
        Bar(found.stack.name, number(server + database), server, database)
        for key, found in results.items()
        for server, database in [[median(results.all(key, f)) for f in ("server", "database")]]
    ]
    parts += [("Requests per second", rates)] if rates else []
    parts += [("CPU per request, in µs: the server's, and (orange) the database's", cpu)]
    return chart("What a session costs: ours and its peers", parts)


def blocks(results: Results) -> Blocks:
    return {
        "costs": costs(results),
        "side by side": side_by_side(results),
        "goals": goals(results),
        "svg": drawn(results),
    }
