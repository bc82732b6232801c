"""What the site is to reach, and what was measured of it."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.figures import Figure, Figures, Results, Spread, added, ratio

PAIR = ("express", "ours")
COSTS: tuple[tuple[str, str, Figure, float | None], ...] = (
    ("server CPU", "µs", lambda each: each.server_cpu, 0.5),
    ("p99", "ms", lambda each: each.p99 / 1000, 0.5),
    ("server and database CPU", "µs", lambda each: each.cpu, None),
)


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
        if self.found.low <= 0:  # a session that adds less than nothing
            return "too noisy to tell"
        found, wanted = round(self.found.median, 2), self.wanted
        return "met" if (found >= wanted if self.at_least else found <= wanted) else "missed"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a session adds to the same pages without one."""

    text: str
    unit: str
    express: Spread
    ours: Spread
    ratio: Spread
    wanted: float | None


def session_costs(results: Results) -> list[Cost]:
    """What heads the report; empty where one of the four is missing."""
    found = [results.contestants.get(f"{who}{end}") for who in PAIR for end in ("", "-none")]
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


def goals(results: Results) -> list[Goal]:
    """Each goal with what was found."""

    def against(key: str, figure: Figure) -> Spread | None:
        ours, other = results.contestants.get("ours"), results.contestants.get(key)
        return ratio(ours, other, figure) if ours and other else None

    def once(key: str, figure: Callable[[Figures], float]) -> Spread | None:
        ours, other = results.contestants.get("ours"), results.contestants.get(key)
        return Spread.of([figure(ours) / figure(other)]) if ours and other else None

    ours = results.contestants.get("ours")
    statements = Spread.of([ours.statements]) if ours else None
    listed = [
        Goal(f"{cost.text} that the session adds, of Express's", cost.wanted, False, cost.ratio)
        for cost in session_costs(results)
        if cost.wanted is not None
    ]
    return [
        *listed,
        Goal("requests/s, of Express's", 1.5, True, against("express", lambda r: r.rate)),
        Goal("p99, of Express's", 1.0, False, against("express", lambda r: r.p99)),
        Goal(
            "server and database CPU, of Express's", 0.6, False, against("express", lambda r: r.cpu)
        ),
        Goal("requests/s, of Django's", 5.0, True, against("django", lambda r: r.rate)),
        Goal("requests/s, of Flask-Session's", 6.0, True, against("flask", lambda r: r.rate)),
        Goal("statements per request", 2.0, False, statements),
        Goal("peak memory, of Express's", 1.0, False, once("express", lambda f: f.peak_memory)),
    ]
