"""The course of a run: install, start, check, warm up, time in turns, check again."""

import os
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import machine
from benchmarks.browser import PAGES
from benchmarks.cli import say
from benchmarks.interpreter import fastest
from benchmarks.peers import install
from benchmarks.peers.stacks import STACKS, Site, Stack, on_core
from benchmarks.speed import check
from benchmarks.speed.figures import Figures, Results, Round
from benchmarks.speed.load import (
    Load,
    LoadError,
    cpu_seconds,
    load,
    machine_seconds,
    peak_memory,
)
from benchmarks.speed.stores import Stores
from tests.harness import Missing
from tests.harness.process import ServerError

CONNECTIONS = 16
COUNTED_VISITS = 240
NOISE = 0.1  # of the machine's CPU, used by other processes, that a report has to mention
# Addresses, and paths of this machine, which a report must not show.
_ELSEWHERE = re.compile(r"\w+://\S+|(?<!\w)/\w[\w.-]*/\S+")
FAILURES = (install.NotInstalled, LoadError, Missing, check.NotWorking, ServerError)


@dataclass(frozen=True, slots=True)
class Options:
    rounds: int
    seconds: float
    warm_up: float
    processes: int
    pin: bool
    durable: bool
    only: tuple[str, ...]
    base: Path | None
    """A Python that has ours already; none, and ours is installed as the others are."""


@dataclass(slots=True)
class Entry:
    """A stack that takes part: installed, running, checked."""

    stack: Stack
    sites: list[Site]
    figures: Figures
    pages: check.Pages
    cookies: list[str] = field(default_factory=list)
    cookie_files: list[Path] = field(default_factory=list)

    @property
    def ports(self) -> list[int]:
        return [site.port for site in self.sites]

    @property
    def pids(self) -> list[int]:
        return [site.pid for site in self.sites]


class Bench:
    def __init__(self, options: Options, directory: Path, exits: ExitStack) -> None:
        """`exits` ends all that is started."""
        self.options, self.directory, self.exits = options, directory, exits
        self.entries: list[Entry] = []
        self.started = time.monotonic()
        self.results = Results(
            when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            commit=machine.commit(install.ROOT),
            settings=asdict(options) | {"connections": CONNECTIONS},
            machine=machine.facts(),
        )

    def run(self) -> Results:
        python = self.options.base or fastest()[0]
        said = "the one that runs the benchmark" if self.options.base else fastest()[1]
        self.results.machine["Python"] = said
        self.say(f"Python servers run on {python.name}: {said}")
        self.wrk = install.program("wrk", "wrk")
        self.stores = Stores(self.directory, self.exits, durable=self.options.durable)
        for stack in STACKS:
            if not self.options.only or stack.key in self.options.only:
                self.attempt(stack, self.enter, stack)
        self.results.versions["programs"] = self.stores.versions()
        self.for_each(self.compare_pages, self.reference())
        self.for_each(self.prepare)
        for number in range(self.options.rounds):
            self.for_each(self.time, number)
        self.for_each(self.finish)
        self.note_noise()
        return self.results

    def say(self, line: str) -> None:
        say(f"{time.monotonic() - self.started:5.0f} s  {line}\n")

    def for_each(self, step: Callable[..., None], *arguments: object) -> None:
        for entry in list(self.entries):
            self.attempt(entry.stack, step, entry, *arguments)

    def attempt(self, stack: Stack, step: Callable[..., None], *arguments: object) -> None:
        """Take `step`; a stack that fails it is out, and the report says why."""
        try:
            step(*arguments)
        except FAILURES as error:
            self.say(f"{stack.name}: NOT MEASURED: {error}")
            self.results.missing[stack.name] = _ELSEWHERE.sub("…", str(error))
            self.results.stacks.pop(stack.key, None)
            self.entries = [each for each in self.entries if each.stack is not stack]

    def enter(self, stack: Stack) -> None:
        self.say(f"{stack.name}: install, start, check")
        interpreter = stack.interpreter(self.options.base)
        self.results.versions[stack.key] = stack.versions(interpreter)
        url = self.stores.url(stack)
        stack.prepare(interpreter, url)
        pinned = stack.pinned and self.options.pin
        sites = []
        for number in range(self.options.processes):
            prefix = on_core(number) if pinned else []
            site = stack.start(interpreter, url, self.directory, prefix=prefix)
            sites.append(self.exits.enter_context(site))
        checked = check.check_sessions if stack.store else check.check_no_sessions
        try:
            pages = checked([site.port for site in sites])
        except check.NotWorking as error:
            last = [line for site in sites for line in site.output().splitlines()[-1:]]
            raise check.NotWorking(" / ".join([str(error), *last])) from error
        sizes = [len(html.encode()) for html in pages.values()]
        figures = Figures(stack.name, stack.store, pinned, sizes)
        self.entries.append(Entry(stack, sites, figures, pages))
        self.results.stacks[stack.key] = figures

    def reference(self) -> check.Pages:
        """The pages that all others are compared with: ours, or the first's without ours."""
        pages = {entry.stack.key: entry.pages for entry in self.entries}
        return pages.get("sessionsite") or next(iter(pages.values()), {})

    def compare_pages(self, entry: Entry, reference: check.Pages) -> None:
        check.check_sizes(entry.pages, reference)
        if found := check.difference(entry.pages, reference):
            self.results.remarks.append(f"{entry.stack.name}: the HTML differs, {found}")
            self.say(self.results.remarks[-1])

    def prepare(self, entry: Entry) -> None:
        """Make a cookie for each connection, warm the server up, count its statements."""
        self.say(f"{entry.stack.name}: warm-up")
        stack, ports = entry.stack, entry.ports
        some = check.cookies(ports[0], CONNECTIONS) if stack.store else [""] * CONNECTIONS
        for number in range(len(ports)):
            path = self.directory / f"{stack.key}-{number}.cookies"
            path.write_text("".join(f"{cookie}\n" for cookie in some[number :: len(ports)]))
            entry.cookie_files.append(path)
        entry.cookies = some
        self.load(entry, self.options.warm_up)
        if stack.store:
            browsers = [check.with_cookie(ports[0], cookie) for cookie in some[:4]]
            with self.stores.statements(stack) as seen:
                for number in range(COUNTED_VISITS):
                    check.visit(browsers[number % 4], PAGES[number // 4 % len(PAGES)])
            kinds = {kind: round(n / COUNTED_VISITS, 2) for kind, n in seen.items()}
            # Once or twice in all: the store's own, not the visits'.
            entry.figures.statements = {kind: n for kind, n in kinds.items() if n > 0.02}

    def time(self, entry: Entry, number: int) -> None:
        """Load the stack for one slice of time, and measure what its processes use meanwhile."""
        self.stores.checkpoint()
        database = self.stores.pids(entry.stack)
        begun = time.monotonic()
        before = cpu_seconds(entry.pids), cpu_seconds(database), machine_seconds()
        seen = self.load(entry, self.options.seconds)
        after = cpu_seconds(entry.pids), cpu_seconds(database), machine_seconds()
        if not seen.requests:
            raise LoadError("it answered nothing under load")
        server_cpu, database_cpu, all_cpu = (b - a for a, b in zip(before, after, strict=True))
        machine_cpu = (time.monotonic() - begun) * (os.cpu_count() or 1)
        others_cpu = all_cpu - server_cpu - database_cpu - seen.cpu
        done = Round(
            rate=seen.requests / seen.seconds,
            p50=seen.percentile(0.5),
            p99=seen.percentile(0.99),
            server_cpu=server_cpu / seen.requests * 1e6,
            database_cpu=database_cpu / seen.requests * 1e6,
            others_cpu=max(others_cpu, 0) / machine_cpu,
            errors=seen.errors,
        )
        entry.figures.rounds.append(done)
        self.say(
            f"round {number + 1}/{self.options.rounds}  {entry.stack.name:31}"
            f"{done.rate:6.0f} requests/s   p99 {done.p99 / 1000:6.1f} ms"
            f"{f'   {done.errors} ERRORS' if done.errors else ''}"
        )

    def load(self, entry: Entry, seconds: float) -> Load:
        return load(self.wrk, entry.ports, entry.cookie_files, seconds)

    def finish(self, entry: Entry) -> None:
        """Note the stack's memory, and check that all went well under load."""
        entry.figures.peak_memory = peak_memory(entry.pids)
        if errors := sum(each.errors for each in entry.figures.rounds):
            raise check.NotWorking(f"{errors} errors under load: {entry.sites[0].output()[-300:]}")
        if entry.stack.store:
            check.check_still(entry.ports[0], entry.cookies[0])

    def note_noise(self) -> None:
        """Report it if other processes used the machine."""
        shares = [r.others_cpu for each in self.results.stacks.values() for r in each.rounds]
        if shares and max(shares) > NOISE:
            self.results.remarks.append(
                f"Other processes used the machine meanwhile: {median(shares):.0%} of it in the "
                f"median round, {max(shares):.0%} in the worst. Better figures need a quiet one."
            )
