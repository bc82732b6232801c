"""One soak, from its first process to its verdict."""

from dataclasses import dataclass, replace
from pathlib import Path

from tests.harness.observing import until
from tests.soak.checker import check
from tests.soak.deployment import Deployment
from tests.soak.faults import Event, Faults
from tests.soak.leaks import Quiet, Watch, leaks
from tests.soak.ledger import Ledger, copies, cut_off, repeated_by_proxy
from tests.soak.report import conclusion, report, silence
from tests.soak.visitors import Load

LONGEST = 30.0  # seconds that all visitors may go without a page


@dataclass(frozen=True)
class Outcome:
    text: str
    faults: list[str]
    events: list[Event]
    kinds: list[str]
    ledger: Ledger


def soak(directory: Path, seconds: float, seed: int) -> Outcome:
    """Soak for so many seconds, or a little longer; the logs are in `directory`."""
    ledger = Ledger()
    with Deployment(directory, seconds) as site:
        watch = Watch(site.sample)
        load = Load(site.nginx.url, site.nginx.certificate, ledger, seed)
        faults = Faults(site, seed, load.replace_visitors)
        try:
            faults.run(seconds)
        finally:
            load.stop()
            watch.stop()
        site.nginx.stop()
        quiet = settled(site)
        quiet = replace(quiet, left=site.stop_processes())
        rows = site.rows()
        asked = repeated_by_proxy(site.nginx.access_log.read_text(errors="replace"))
        ends = [end for worker in site.workers for end in worker.ends]
    cut = cut_off(ledger, asked, ends)
    verdict = check(ledger, rows, copies(cut))
    found = [*verdict.faults, *silence(ledger, LONGEST), *leaks(quiet)]
    told = report(seed, seconds, ledger, faults.events, verdict, cut, quiet)
    return Outcome(
        f"{told}\n\n{conclusion(found)}\n",
        found,
        faults.events,
        faults.kinds,
        ledger,
    )


def settled(site: Deployment) -> Quiet:
    """What is there once nothing leaks any more, or after a while."""
    seen = [site.quiet()]

    def clean() -> bool:
        seen.append(site.quiet())
        return not leaks(seen[-1])

    until(clean, 30)
    return seen[-1]
