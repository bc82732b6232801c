"""The course of a run: install, start, check, warm up, time in turns, check again."""
# ruff: noqa: T201

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import check, install, machine
from benchmarks.contestants import CONTESTANTS, Contestant, Site, on_core
from benchmarks.figures import Figures, Results, Round
from benchmarks.interpreter import fastest
from benchmarks.measure import (
    Load,
    LoadError,
    cpu_seconds,
    load,
    machine_seconds,
    peak_memory,
    visit_in_turn,
)
from benchmarks.stores import Stores
from tests.servers import Missing
from tests.servers.process import ServerError, tell_reaper

CONNECTIONS = 16
COUNTED_VISITS = 240
NOISE = 0.1  # of the machine, taken by others, that a report has to mention
BETWEEN = 0.4  # seconds from one measurement to the next, for the estimate of what is left
# Addresses, and paths of this machine, which are nobody else's business.
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


@dataclass(slots=True)
class Entry:
    """A contestant that takes part: installed, running, checked."""

    contestant: Contestant
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
    def __init__(self, options: Options, stack: ExitStack) -> None:
        """`stack` ends all that is started."""
        self.options, self.stack = options, stack
        self.directory = Path(tempfile.mkdtemp(prefix="sessionsite-bench-"))
        tell_reaper(str(self.directory), 0)
        stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.entries: list[Entry] = []
        self.started = time.monotonic()
        self.results = Results(
            when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            commit=machine.commit(install.ROOT),
            settings=asdict(options) | {"connections": CONNECTIONS},
            machine=machine.facts(),
        )

    def run(self) -> Results:
        _, self.results.machine["Python"] = fastest()
        self.say("wrk and PostgreSQL")
        self.wrk = install.program("wrk", "wrk")
        self.stores = Stores(self.directory, self.stack, durable=self.options.durable)
        for contestant in CONTESTANTS:
            if not self.options.only or contestant.key in self.options.only:
                self.attempt(contestant, self.enter, contestant)
        versions = {"wrk": machine.wrk_version(self.wrk), **self.stores.versions()}
        self.results.versions["programs"] = versions
        self.for_each(self.compare_pages, self.reference())
        self.for_each(self.prepare)
        for number in range(self.options.rounds):
            self.for_each(self.time, number)
        self.for_each(self.finish)
        self.note_noise()
        return self.results

    def say(self, line: str) -> None:
        print(f"{time.monotonic() - self.started:5.0f} s  {line}", flush=True)

    def for_each(self, step: Callable[..., None], *arguments: object) -> None:
        for entry in list(self.entries):
            self.attempt(entry.contestant, step, entry, *arguments)

    def attempt(
        self, contestant: Contestant, step: Callable[..., None], *arguments: object
    ) -> None:
        """Take `step`; a contestant that fails it is out, and the report says why."""
        try:
            step(*arguments)
        except FAILURES as error:
            self.say(f"{contestant.name}: NOT MEASURED: {error}")
            self.results.missing[contestant.name] = _ELSEWHERE.sub("…", str(error))
            self.results.contestants.pop(contestant.key, None)
            self.entries = [each for each in self.entries if each.contestant is not contestant]

    def enter(self, contestant: Contestant) -> None:
        self.say(f"{contestant.name}: install, start, check")
        interpreter = contestant.program()
        self.results.versions[contestant.key] = contestant.versions(interpreter)
        url = self.stores.url(contestant)
        if contestant.prepare is not None:
            contestant.prepare(interpreter, contestant.environment(url))
        pinned = contestant.pinned and self.options.pin
        sites = []
        for number in range(self.options.processes):
            prefix = on_core(number) if pinned else []
            sites.append(contestant.start(interpreter, url, self.directory, prefix))
            self.stack.callback(sites[-1].stop)
        ports = [site.port for site in sites]
        checked = check.check_sessions if contestant.store else check.check_no_sessions
        try:
            pages = checked(ports)
        except check.NotWorking as error:
            last = [line for site in sites for line in site.output().splitlines()[-1:]]
            raise check.NotWorking(" / ".join([str(error), *last])) from error
        figures = Figures(contestant.name, contestant.store, pinned, pages.sizes())
        self.entries.append(Entry(contestant, sites, figures, pages))
        self.results.contestants[contestant.key] = figures

    def reference(self) -> check.Pages:
        """The pages that all others are compared with: ours, or the first's without ours."""
        pages = {entry.contestant.key: entry.pages for entry in self.entries}
        return pages.get("ours") or next(iter(pages.values()), check.Pages())

    def compare_pages(self, entry: Entry, reference: check.Pages) -> None:
        check.check_sizes(entry.pages, reference)
        if found := check.difference(entry.pages, reference):
            self.results.remarks.append(f"{entry.contestant.name}: the HTML differs, {found}")
            self.say(self.results.remarks[-1])

    def prepare(self, entry: Entry) -> None:
        """Make a cookie for each connection, warm the server up, count its statements."""
        self.say(f"{entry.contestant.name}: warm-up")
        contestant, ports = entry.contestant, entry.ports
        some = check.cookies(ports[0], CONNECTIONS) if contestant.store else [""] * CONNECTIONS
        for number in range(len(ports)):
            path = self.directory / f"{contestant.key}-{number}.cookies"
            path.write_text("".join(f"{cookie}\n" for cookie in some[number :: len(ports)]))
            entry.cookie_files.append(path)
        entry.cookies = some
        self.load(entry, self.options.warm_up)
        if contestant.store:
            with self.stores.statements(contestant) as seen:
                visit_in_turn(ports[0], some[:4], COUNTED_VISITS)
            kinds = {kind: round(n / COUNTED_VISITS, 2) for kind, n in seen.kinds.items()}
            # Once or twice in all: the store's own, not the visits'.
            entry.figures.statement_kinds = {kind: n for kind, n in kinds.items() if n > 0.02}
            entry.figures.statements = round(sum(entry.figures.statement_kinds.values()), 2)

    def time(self, entry: Entry, number: int) -> None:
        """Load it for one slice of time, between two looks at what its processes have used."""
        self.stores.checkpoint()
        database = self.stores.pids(entry.contestant)
        begun = time.monotonic()
        before = cpu_seconds(entry.pids), cpu_seconds(database), machine_seconds()
        seen = self.load(entry, self.options.seconds)
        after = cpu_seconds(entry.pids), cpu_seconds(database), machine_seconds()
        if not seen.requests:
            raise LoadError("it answered nothing under load")
        server_cpu, database_cpu, all_cpu = (b - a for a, b in zip(before, after, strict=True))
        machine_cpu = (time.monotonic() - begun) * (os.cpu_count() or 1)
        others_cpu = all_cpu - server_cpu - database_cpu - seen.cpu
        each = 1e6 / seen.requests
        done = Round(
            requests=seen.requests,
            seconds=round(seen.seconds, 3),
            p50=seen.percentile(0.5),
            p99=seen.percentile(0.99),
            p999=seen.percentile(0.999),
            server_cpu=round(server_cpu * each, 1),
            database_cpu=round(database_cpu * each, 1),
            client_cpu=round(seen.cpu * each, 1),
            others_cpu=round(max(others_cpu, 0) / machine_cpu, 3),
            errors=seen.errors,
            bytes=round(seen.bytes / seen.requests, 1),
        )
        entry.figures.rounds.append(done)
        self.say(
            f"round {number + 1}/{self.options.rounds}  {entry.contestant.name:31}"
            f"{done.rate:6.0f} requests/s   p99 {done.p99 / 1000:6.1f} ms"
            f"{f'   {done.errors} ERRORS' if done.errors else ''}   {self._left(entry, number)}"
        )

    def _left(self, entry: Entry, number: int) -> str:
        rounds, place = self.options.rounds - number - 1, self.entries.index(entry)
        slices = rounds * len(self.entries) + len(self.entries) - place - 1
        return f"{slices * (self.options.seconds + BETWEEN):4.0f} s left"

    def load(self, entry: Entry, seconds: float) -> Load:
        return load(self.wrk, entry.ports, entry.cookie_files, seconds)

    def finish(self, entry: Entry) -> None:
        """Note its memory, and check that all went well under load."""
        entry.figures.peak_memory = peak_memory(entry.pids)
        if errors := sum(each.errors for each in entry.figures.rounds):
            raise check.NotWorking(f"{errors} errors under load: {entry.sites[0].output()[-300:]}")
        check.check_still(entry.ports[0], entry.cookies[0])

    def note_noise(self) -> None:
        """Say in the report if the machine was not ours alone."""
        shares = [r.others_cpu for each in self.results.contestants.values() for r in each.rounds]
        if shares and max(shares) > NOISE:
            self.results.remarks.append(
                f"Other processes used the machine meanwhile: {median(shares):.0%} of it in the "
                f"median round, {max(shares):.0%} in the worst. Better figures need a quiet one."
            )
