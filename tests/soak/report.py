"""What a soak says at its end."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from tests.soak.checker import Verdict
from tests.soak.faults import Event
from tests.soak.leaks import Quiet, grown
from tests.soak.ledger import Ledger

SHOWN = 20  # faults


def report(
    seed: int,
    seconds: float,
    ledger: Ledger,
    events: Sequence[Event],
    verdict: Verdict,
    cut: Mapping[str, Sequence[str]],
    quiet: Quiet,
) -> str:
    """The tables, as text."""
    parts = [
        f"Soak of {seconds:.0f} seconds, --seed {seed}",
        table(["fault", "times", "longest without a 200, s"], fault_rows(ledger, events)),
        table(["what", "count"], answer_rows(ledger, verdict, cut)),
        table(["process", "memory grown, MiB", "files", "threads"], process_rows(quiet)),
    ]
    return "\n\n".join(parts)


def conclusion(faults: Sequence[str]) -> str:
    if not faults:
        return "Nothing was lost, nothing leaks."
    lines = [f"FAULT: {fault}" for fault in faults[:SHOWN]]
    return "\n".join([*lines, f"{len(faults)} faults."])


def fault_rows(ledger: Ledger, events: Sequence[Event]) -> list[list[object]]:
    answered = sorted(visit.ended for visit in ledger.visits if visit.confirmed)
    longest: dict[str, float] = defaultdict(float)
    counts = Counter(event.kind for event in events)
    for event in events:
        gap = longest_gap(answered, event.began, event.ended)
        if not event.beside:
            longest[event.kind] = max(longest[event.kind], gap)
    return [
        [kind, counts[kind], f"{longest[kind]:.1f}" if kind in longest else "as the others"]
        for kind in sorted(counts)
    ]


def longest_gap(answered: Sequence[float], began: float, ended: float) -> float:
    """The longest time between two answers that overlaps with a fault."""
    first = max(bisect_left(answered, began) - 1, 0)
    last = bisect_left(answered, ended) + 1
    around = answered[first:last]
    return max((b - a for a, b in pairwise(around)), default=0.0)


def silence(ledger: Ledger, most: float) -> list[str]:
    """A fault, if no visitor had a page for longer than so many seconds."""
    answered = sorted(visit.ended for visit in ledger.visits if visit.confirmed)
    longest = max((b - a for a, b in pairwise(answered)), default=0.0)
    return [f"there was no page for {longest:.0f} seconds"] if longest > most else []


def answer_rows(
    ledger: Ledger, verdict: Verdict, cut: Mapping[str, Sequence[str]]
) -> list[list[str]]:
    visits = Counter(visit.status for visit in ledger.visits)
    endings = Counter(ending.status for ending in ledger.endings)
    rows = [[f"visits answered {said(s)}", f"{visits[s]:,}"] for s in ordered(visits)]
    rows += [[f"endings answered {said(s)}", f"{endings[s]:,}"] for s in ordered(endings)]
    doubled = Counter(" and ".join(cut.get(label, ["?"])) for label in verdict.doubled)
    return [
        *rows,
        ["sessions compared", f"{verdict.sessions:,}"],
        ["recorded, not answered 200", f"{verdict.unanswered:,}"],
        *([f"recorded twice, {why}", f"{doubled[why]:,}"] for why in sorted(doubled)),
    ]


def ordered(counts: Counter[int | None]) -> list[int | None]:
    return sorted(counts, key=lambda status: status or 999)


def said(status: int | None) -> str:
    return "not at all" if status is None else str(status)


def process_rows(quiet: Quiet) -> list[list[object]]:
    rows: list[list[object]] = []
    for pid, samples in quiet.processes.items():
        growth, first, last = grown(samples), samples[0], samples[-1]
        age = last.when - first.when
        rows.append(
            [
                f"{pid}, {age:.0f} s old",
                "too young" if growth is None else f"{growth:+.1f} to {last.memory:.0f}",
                f"{first.files} to {last.files}",
                f"{first.threads} to {last.threads}",
            ]
        )
    return rows


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown, aligned for a terminal too."""
    lines = [[str(cell) for cell in line] for line in [head, *rows]]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    padded = [[cell.ljust(w) for cell, w in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)
