"""The figures of a run, as they are kept in results.json, and what follows from them."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(slots=True)
class Round:
    """One contestant under load for some seconds. Times are in microseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    p999: float
    server_cpu: float
    """Of all its processes, for each request."""
    database_cpu: float
    """Of PostgreSQL, or Redis, for each request."""
    client_cpu: float
    others_cpu: float
    """The share of the machine that processes took that are none of the benchmark's."""
    errors: int
    bytes: float
    """Of a whole response, headers included."""

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu(self) -> float:
        return self.server_cpu + self.database_cpu


@dataclass(slots=True)
class Figures:
    """One contestant, over all rounds."""

    name: str
    store: str | None
    pinned: bool = False
    """Whether each of its processes had to keep to one core."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of each page's body."""
    statements: float = 0
    statement_kinds: dict[str, float] = field(default_factory=dict)
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
    contestants: dict[str, Figures] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Who could not be measured, and why."""
    remarks: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Results":
        data = json.loads(path.read_text())
        for key, figures in data["contestants"].items():
            figures["rounds"] = [Round(**values) for values in figures["rounds"]]
            data["contestants"][key] = Figures(**figures)
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over all rounds: its median, and how far it went."""

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
