"""The figures of a run, what follows from them, and what the site is to reach."""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(slots=True)
class Round:
    """One stack under load for some seconds. Times are in microseconds."""

    rate: float
    """Requests per second."""
    p50: float
    p99: float
    server_cpu: float
    """Of all its processes, for each request."""
    database_cpu: float
    """Of PostgreSQL, or Redis, for each request."""
    others_cpu: float
    """The share of the machine that processes took that are none of the benchmark's."""
    errors: int

    @property
    def cpu(self) -> float:
        return self.server_cpu + self.database_cpu


@dataclass(slots=True)
class Figures:
    """One stack, over all rounds."""

    name: str
    store: str | None
    pinned: bool
    """Whether each of its processes had to keep to one core."""
    sizes: list[int]
    """Bytes of each page's body."""
    statements: dict[str, float] = field(default_factory=dict)
    """How many of each kind a visit needs."""
    peak_memory: int = 0
    """Bytes, of all its processes."""
    rounds: list[Round] = field(default_factory=list)


@dataclass(slots=True)
class Results:
    when: str
    commit: str
    settings: dict[str, Any]
    machine: dict[str, str]
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    stacks: dict[str, Figures] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Who could not be measured, and why."""
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over all rounds: its median and its range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


Figure = Callable[[Round], float]


def spread(figures: Figures, figure: Figure) -> Spread:
    return Spread.of([figure(each) for each in figures.rounds])


def ratio(figures: Figures, base: Figures, figure: Figure) -> Spread:
    """How `figures` relate to `base`, each round by itself: what was measured side by side."""
    pairs = zip(figures.rounds, base.rounds, strict=False)
    return Spread.of([figure(here) / figure(there) for here, there in pairs])


def added(figures: Figures, bare: Figures, figure: Figure) -> list[float]:
    """What the session adds in each round to the same pages without one."""
    pairs = zip(figures.rounds, bare.rounds, strict=False)
    return [figure(here) - figure(there) for here, there in pairs]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a session adds to the same pages without one."""

    text: str
    unit: str
    express: Spread
    ours: Spread
    ratio: Spread
    wanted: float | None


COSTS: tuple[tuple[str, str, Figure, float | None], ...] = (
    ("server CPU", "µs", lambda each: each.server_cpu, 0.5),
    ("p99", "ms", lambda each: each.p99 / 1000, 0.5),
    ("server and database CPU", "µs", lambda each: each.cpu, None),
)


def session_costs(results: Results) -> list[Cost]:
    """The head of the report; empty if one of the four stacks is missing."""
    found = [
        results.stacks.get(f"{who}{end}")
        for who in ("express", "sessionsite")
        for end in ("", "-none")
    ]
    express, express_none, ours, ours_none = found
    if not (express and express_none and ours and ours_none):
        return []
    costs = []
    for text, unit, figure, wanted in COSTS:
        theirs = added(express, express_none, figure)
        own = added(ours, ours_none, figure)
        relative = Spread.of([here / there for here, there in zip(own, theirs, strict=False)])
        costs.append(Cost(text, unit, Spread.of(theirs), Spread.of(own), relative, wanted))
    return costs


@dataclass(frozen=True, slots=True)
class Goal:
    text: str
    wanted: float
    at_least: bool
    found: Spread | None
    """None where one of those compared is missing."""

    @property
    def verdict(self) -> str:
        if self.found is None:
            return ""
        if self.found.low <= 0:  # the session's share is not positive
            return "too noisy to tell"
        found = round(self.found.median, 2)
        return (
            "met" if (found >= self.wanted if self.at_least else found <= self.wanted) else "missed"
        )


# The figure, the peer to compare it with, the goal, whether more is better.
GOALS: tuple[tuple[str, str, Figure, float, bool], ...] = (
    ("requests/s, of Express's", "express", lambda each: each.rate, 1.5, True),
    ("p99, of Express's", "express", lambda each: each.p99, 1.0, False),
    ("server and database CPU, of Express's", "express", lambda each: each.cpu, 0.6, False),
    ("requests/s, of Django's", "django", lambda each: each.rate, 5.0, True),
    ("requests/s, of Flask-Session's", "flask", lambda each: each.rate, 6.0, True),
)


def goals(results: Results) -> list[Goal]:
    """Each goal with what was found."""
    ours, express = results.stacks.get("sessionsite"), results.stacks.get("express")
    statements = Spread.of([sum(ours.statements.values())]) if ours else None
    memory = Spread.of([ours.peak_memory / express.peak_memory]) if ours and express else None
    added = [
        Goal(f"{cost.text} that the session adds, of Express's", cost.wanted, False, cost.ratio)
        for cost in session_costs(results)
        if cost.wanted is not None
    ]
    compared = [
        Goal(text, wanted, more, ratio(ours, other, figure) if ours and other else None)
        for text, key, figure, wanted, more in GOALS
        for other in [results.stacks.get(key)]
    ]
    return [
        *added,
        *compared,
        Goal("statements per request", 2.0, False, statements),
        Goal("peak memory, of Express's", 1.0, False, memory),
    ]
