"""The figures of a run, and what its page shows of them."""
# ruff: noqa: RUF001  # an en dash is meant

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

    @property
    def cpu(self) -> float:
        return self.server + self.database


@dataclass
class Figures:
    """One stack, over all rounds."""

    stack: Stack
    sizes: list[int]
    """Bytes of each page's body."""
    rounds: list[Round] = field(default_factory=list)
    statements: dict[str, float] = field(default_factory=dict)
    """How many of each kind a visit needs."""
    memory: float = 0
    """MiB, of all its processes, at the most."""


class Results(dict[str, Figures]):
    """What was found, by the stack's key. Who is not there raises KeyError.

    All is computed in each round by itself: what was measured side by side.
    """

    def all(self, key: str, figure: str) -> list[float]:
        if figure == "memory":
            return [self[key].memory]
        return [getattr(each, figure) for each in self[key].rounds]

    def ratio(self, key: str, other: str, figure: str) -> list[float]:
        return list(map(truediv, self.all(key, figure), self.all(other, figure)))

    def added(self, key: str, figure: str) -> list[float]:
        """What the session adds to the same pages without one."""
        return list(map(sub, self.all(key, figure), self.all(f"{key}-none", figure)))

    def added_ratio(self, key: str, figure: str) -> list[float]:
        """What the session adds, of what Express's adds."""
        return list(map(truediv, self.added(key, figure), self.added("express", figure)))


TEXTS = {
    "rate": "requests/s",
    "p50": "p50, ms",
    "p99": "p99, ms",
    "server": "server CPU, µs",
    "database": "database CPU, µs",
    "cpu": "server and database CPU, µs",
    "memory": "peak memory, MiB",
}
OURS = {"sessionsite": "waitress", "sessionsite-granian": "granian"}
PEERS = {
    "express": "Express",
    "pyramid-redis": "pyramid_session_redis",
    "django": "Django",
    "flask": "Flask",
}
# What ours is to reach of another's figure; without a name, what the session adds of Express's.
GOALS = (
    ("sessionsite", "rate", "express", 1.5),
    ("sessionsite", "cpu", "express", 0.65),
    ("sessionsite", "p99", "express", 0.5),
    ("sessionsite", "server", "", 0.5),
    ("sessionsite", "rate", "pyramid-redis", 1.0),
    ("sessionsite", "rate", "django", 5.0),
    ("sessionsite", "rate", "flask", 6.0),
    ("sessionsite", "memory", "express", 1.0),
    ("sessionsite-granian", "rate", "express", 2.0),
    ("sessionsite-granian", "cpu", "express", 0.5),
    ("sessionsite-granian", "p99", "express", 0.4),
    ("sessionsite-granian", "server", "", 0.5),
)


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def cell(values: Sequence[float], shown: Callable[[float], str] = number) -> str:
    """The median; below it the lowest and the highest."""
    low, middle, high = (shown(f(values)) for f in (min, median, max))
    return f"{middle}<br><small>{low}–{high}</small>"


def costs(results: Results) -> str:
    """What the session adds to each request."""
    rows = [
        [TEXTS[figure], *(cell(results.added(key, figure)) for key in ("express", *OURS))]
        for figure in ("server", "database", "p99")
    ]
    heads = [f"ours on {server}" for server in OURS.values()]
    return table(["what the session adds", "Express", *heads], rows)


def side_by_side(results: Results) -> str:
    rows = []
    for key, found in results.items():
        name = f"**{found.stack.name}**" if key in OURS else found.stack.name
        cells = [cell(results.all(key, figure)) for figure in TEXTS]
        statements = ", ".join(f"{n:g} {kind}" for kind, n in found.statements.items())
        rows.append([name, *cells, statements, f"{min(found.sizes)}–{max(found.sizes)}"])
    return table(["", *TEXTS.values(), "statements", "page bytes"], rows)


def goals(results: Results) -> str:
    rows = []
    for key, figure, other, goal in GOALS:
        what, more = TEXTS[figure].partition(",")[0], figure == "rate"
        try:
            if other:
                text = f"{what}, of {PEERS[other]}'s"
                found = results.ratio(key, other, figure)
            else:
                text = f"{what} that the session adds, of Express's"
                found = results.added_ratio(key, figure)
        except KeyError:
            measured, verdict = "not measured", ""
        else:
            measured, middle = cell(found, "{:.2f}".format), round(median(found), 2)
            verdict = "met" if (middle >= goal if more else middle <= goal) else "missed"
            if min(found) <= 0:  # a session that adds less than nothing
                verdict = "too noisy to tell"
        rows.append([OURS[key], text, f"{'≥' if more else '≤'} {goal:g}", measured, verdict])
    return table(["ours on", "", "goal", "measured", ""], rows)


def drawn(results: Results) -> str:
    rates, cpu = [], []
    for key, found in results.items():
        rate, *pieces = (median(results.all(key, f)) for f in ("rate", "server", "database"))
        rates.append(Bar(found.stack.name, number(rate), rate))
        cpu.append(Bar(found.stack.name, number(sum(pieces)), *pieces))
    with_sessions = [bar for bar in rates if "no session" not in bar.label]
    parts = [("CPU per request, in µs: the server's, and (orange) the database's", cpu)]
    if with_sessions:
        parts.insert(0, ("Requests per second", with_sessions))
    return chart("What a session costs: ours and its peers", parts)


def blocks(results: Results) -> Blocks:
    takes = {key for with_one in ("express", *OURS) for key in (with_one, f"{with_one}-none")}
    return {
        "costs": costs(results)
        if takes <= results.keys()
        else f"Takes {', '.join(sorted(takes))}.\n",
        "side by side": side_by_side(results),
        "goals": goals(results),
        "svg": drawn(results),
    }
