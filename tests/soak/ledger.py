"""What visitors asked for and what they were answered: the truth that the table is held against."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

# Answers after which a visit may be recorded or not; None is a connection that was cut.
UNKNOWN = frozenset({None, 502, 503, 504})
_LABEL = re.compile(r"\?v=(\d+\.\d+)")


@dataclass(slots=True)
class Visit:
    """One request for a page, by one visitor; `label` is in its URL and in no other's."""

    label: str
    sent: float
    """When, in seconds of a clock that all share."""
    believed: str = ""
    """The id of the session that the visitor had at that time; empty for none, or not known."""
    ended: float = math.inf
    """When the answer came, or the connection was cut."""
    status: int | None = None
    session: str = ""
    """The id of the session that the page showed."""

    @property
    def visitor(self) -> str:
        return visitor_of(self.label)

    @property
    def confirmed(self) -> bool:
        return self.status == 200


@dataclass(slots=True)
class Ending:
    """One POST /forget, of a visitor who had this session."""

    session: str
    sent: float
    ended: float = math.inf
    status: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The end of a process at a port, by a signal."""

    port: int
    signal: str
    began: float
    ended: float


@dataclass
class Ledger:
    """All that was asked. Threads append to it."""

    visits: list[Visit] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    """What was wrong with a page as it came."""


def visitor_of(label: str) -> str:
    return label.partition(".")[0]


def path_of(page: str, label: str) -> str:
    """The path by which the visit of that label asks for a page."""
    return f"{page}?v={label}"


def labels_in(text: str) -> list[str]:
    """The labels of the URLs in `text`, in their order."""
    return _LABEL.findall(text)


def labels_of(history: Iterable[str]) -> list[str]:
    """The labels of a history's URLs; the URL itself where it has none."""
    return [(labels_in(url) or [url])[0] for url in history]


def repeated_by_proxy(access_log: str) -> dict[str, list[int]]:
    """The ports that nginx asked, for each visit for which it asked more than one.

    In deploy/nginx.conf's format, the addresses stand together, with commas between.
    """
    found = re.findall(
        r'\?v=(\d+\.\d+) HTTP/[^"]*" .*?" [\d.]+ ((?:[\d.:]+, )+[\d.:]+) ', access_log
    )
    return {
        label: [int(address.rpartition(":")[2]) for address in addresses.split(", ")]
        for label, addresses in found
    }


def cut_off(
    ledger: Ledger, asked: Mapping[str, Sequence[int]], ends: Sequence[End]
) -> dict[str, list[str]]:
    """The signals that ended a process with a visit in hand, for which nginx asked another one."""
    found = {}
    for visit in ledger.visits:
        signals = [
            end.signal
            for port in asked.get(visit.label, ())[:-1]
            for end in ends
            if end.port == port and visit.sent < end.ended and end.began < visit.ended
        ]
        if signals:
            found[visit.label] = signals
    return found


def copies(cut: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many copies of a visit there may be, where that is more than one.

    nginx can't know whether a process that was killed had stored the visit, and asks another one. A
    process that ends in order is no excuse: it answers what it has stored.
    """
    killed = {label: list(signals).count("SIGKILL") for label, signals in cut.items()}
    return {label: 1 + count for label, count in killed.items() if count}


def wrong_with_page(visit: Visit, shown: Sequence[str], before: Iterable[str]) -> list[str]:
    """What is wrong with the history on a page that was asked for after `before` were answered."""
    wrong = []
    if shown[:1] != [visit.label]:
        wrong.append(f"the page of visit {visit.label} has it not in front, but {shown[:1]}")
    if missing := set(before) - set(shown):
        wrong.append(f"the page of visit {visit.label} does not show {sorted(missing)}")
    if others := [label for label in shown if visitor_of(label) != visit.visitor]:
        wrong.append(f"the page of visit {visit.label} shows another's history: {others[:3]}")
    return wrong
