"""A site as a network of queues, simulated event by event: who works on which page, and who waits.

A page is work of the client, of one process of the site, and of the database, in the order of a
visit: load, page, save. A process works on one page at a time, as its threads share one lock; a
thread that waits for the database leaves the process to others. All that have work on one machine
share its cores.
"""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

THREADS = 4  # of one process of the site
# How the process's work on a page lies around the two statements.
BEFORE, BETWEEN, AFTER = 0.35, 0.5, 0.15
LOAD = 0.4  # the read's share of the database's work


@dataclass(frozen=True)
class Costs:
    """What one page takes, in microseconds of CPU, where only one core has work."""

    server: float
    database: float
    client: float
    wait: float = 0.0
    """Microseconds that it takes beside all CPU: the disk, the network, the waking of threads."""
    crowd: float = 1.0
    """How many times as much CPU the same work takes while all cores of the machine are busy."""


@dataclass(frozen=True)
class Site:
    """How many of each there are."""

    visitors: int
    """Each asks again as soon as it is answered."""
    processes: int = 1
    cores: int = 2
    others: float = 0.0
    """How many of the cores are taken by work that is none of the site's."""
    database_cores: int = 0
    """Those of the database's own machine; 0: it is on the same one, and so are the clients."""


@dataclass(frozen=True)
class Predicted:
    rate: float
    """Pages per second."""
    p50: float
    """Milliseconds."""
    server: float
    """Microseconds of CPU per page."""
    database: float
    busy: float
    """The share of the site's cores that has work; 1 is all."""
    database_busy: float


@dataclass
class Machine:
    """Cores, shared by all who have work: each has one at most, and an equal part of those few."""

    cores: float
    crowd: float
    running: "list[Page]" = field(default_factory=list)
    worked: float = 0.0
    """Microseconds, of all cores together."""

    @property
    def pace(self) -> float:
        """The part of a core that each one has."""
        return min(1.0, self.cores / len(self.running)) if self.running else 1.0

    @property
    def speed(self) -> float:
        """Microseconds of work that are done in each microsecond of a whole core."""
        used = min(1.0, len(self.running) / self.cores) if self.cores else 1.0
        # One core with work is not slowed down by itself; two are, by each other.
        alone = 1 / self.cores
        full = 1.0 if alone >= 1 else max(0.0, (used - alone) / (1 - alone))
        return 1 / (1 + (self.crowd - 1) * full)


@dataclass
class Process:
    """One process of the site: its one lock, and its threads."""

    waiting: "deque[Page]" = field(default_factory=deque)
    """For the lock."""
    queued: "deque[Page]" = field(default_factory=deque)
    """For a thread."""
    threads: int = THREADS
    locked: bool = False


@dataclass(eq=False)
class Page:
    """One visitor's page, which begins anew when it is over."""

    process: Process
    steps: Iterator[tuple[str, float]]
    begun: float = 0.0
    left: float = 0.0
    kind: str = ""


def predict(costs: Costs, site: Site, pages: int = 20_000, seed: int = 1) -> Predicted:
    """Simulate until so many pages are answered; the first tenth of them does not count."""
    return _Run(costs, site, seed).until(pages)


class _Run:
    def __init__(self, costs: Costs, site: Site, seed: int) -> None:
        self._costs = costs
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self._here = Machine(max(0.05, site.cores - site.others), costs.crowd)
        apart = site.database_cores
        self._there = Machine(apart, costs.crowd) if apart else self._here
        self._clients = Machine(10**6, 1.0) if apart else self._here
        self._machines = list({id(m): m for m in (self._here, self._there, self._clients)}.values())
        self._delays: list[tuple[float, Page]] = []
        self._now = 0.0
        self._cpu = {"client": 0.0, "server": 0.0, "database": 0.0}
        self._taken: list[tuple[float, float]] = []
        processes = [Process() for _ in range(site.processes)]
        for number in range(site.visitors):
            page = Page(processes[number % site.processes], iter(()))
            self._next(page)

    def _amount(self, mean: float) -> float:
        """One page's: half of all deviate by less than a fifth or so."""
        return self._random.gammavariate(8, mean / 8) if mean else 0.0

    def _visit(self, page: Page) -> Iterator[tuple[str, float]]:
        costs, amount = self._costs, self._amount
        page.begun = self._now
        yield "client", amount(costs.client)
        yield "thread", 0.0
        yield "server", amount(costs.server * BEFORE)
        yield "database", amount(costs.database * LOAD)
        yield "server", amount(costs.server * BETWEEN)
        yield "database", amount(costs.database * (1 - LOAD))
        yield "delay", amount(costs.wait)
        yield "server", amount(costs.server * AFTER)
        yield "end", 0.0

    def _machine(self, kind: str) -> Machine:
        return {"client": self._clients, "server": self._here, "database": self._there}[kind]

    def _next(self, page: Page) -> None:
        """Have a page take its next step, or wait in the queue for it."""
        process = page.process
        page.kind, page.left = next(page.steps, ("begin", 0.0))
        if page.kind == "begin":
            page.steps = self._visit(page)
            self._next(page)
        elif page.kind == "thread":
            if process.threads:
                process.threads -= 1
                self._next(page)
            else:
                process.queued.append(page)
        elif page.kind == "server" and process.locked:
            process.waiting.append(page)
        elif page.kind == "delay":
            self._delays.append((self._now + page.left, page))
        elif page.kind == "end":
            self._taken.append((self._now, self._now - page.begun))
            process.threads += 1
            if process.queued:
                process.threads -= 1
                self._next(process.queued.popleft())
            self._next(page)
        else:
            process.locked |= page.kind == "server"
            self._machine(page.kind).running.append(page)

    def _step(self) -> None:
        """Let the time pass until the next step of any page is done."""
        soonest = min((at - self._now for at, _ in self._delays), default=float("inf"))
        for machine in self._machines:
            if machine.running:
                pace = machine.pace * machine.speed
                soonest = min(soonest, min(page.left for page in machine.running) / pace)
        self._now += soonest
        done = [page for at, page in self._delays if at <= self._now]
        self._delays = [each for each in self._delays if each[1] not in done]
        for machine in self._machines:
            passed = soonest * machine.pace  # of each one's core
            progress = passed * machine.speed
            for page in machine.running:
                page.left -= progress
                self._cpu[page.kind] += passed
            machine.worked += passed * len(machine.running)
            over = [page for page in machine.running if page.left <= 1e-6]
            machine.running = [page for page in machine.running if page.left > 1e-6]
            done += over
        for page in done:
            if page.kind == "server":
                page.process.locked = False
                if page.process.waiting:
                    first = page.process.waiting.popleft()
                    page.process.locked = True
                    self._here.running.append(first)
            self._next(page)

    def until(self, pages: int) -> Predicted:
        warm = pages // 10
        while len(self._taken) < warm:
            self._step()
        begun, before = self._now, dict(self._cpu)
        worked = [machine.worked for machine in (self._here, self._there)]
        self._taken.clear()
        while len(self._taken) < pages - warm:
            self._step()
        passed, count = self._now - begun, len(self._taken)
        here, there = (
            (machine.worked - then) / passed / machine.cores
            for machine, then in zip((self._here, self._there), worked, strict=True)
        )
        return Predicted(
            rate=count / passed * 1e6,
            p50=median(taken for _, taken in self._taken) / 1e3,
            server=(self._cpu["server"] - before["server"]) / count,
            database=(self._cpu["database"] - before["database"]) / count,
            busy=here,
            database_busy=there,
        )
