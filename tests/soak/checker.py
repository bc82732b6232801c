"""Compares the rows of the table with the ledger."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.soak.ledger import UNKNOWN, Ending, Ledger, Visit, labels_of, visitor_of

Rows = Mapping[str, Sequence[str]]
"""The history of each row, newest first, by the session's id."""


@dataclass(frozen=True)
class Verdict:
    faults: list[str]
    sessions: int
    """How many sessions were compared, the ended ones included."""
    doubled: list[str]
    """The labels of visits that are there twice, whether they may be or not."""
    unanswered: int
    """Visits that are there though their answer was not 200."""


def check(ledger: Ledger, rows: Rows, tries: Mapping[str, int] | None = None) -> Verdict:
    """Compare. `tries` says how many copies of a visit there may be, where that is not one."""
    return _Check(
        ledger, {name: labels_of(row) for name, row in rows.items()}, tries or {}
    ).verdict()


class _Check:
    def __init__(self, ledger: Ledger, rows: Rows, tries: Mapping[str, int]) -> None:
        self.rows = rows
        self.tries = tries
        self.pages = ledger.pages
        self.visits = {visit.label: visit for visit in ledger.visits}
        self.sessions: dict[str, list[Visit]] = defaultdict(list)
        for visit in ledger.visits:
            if visit.confirmed:
                self.sessions[visit.session].append(visit)
        self.endings: dict[str, list[Ending]] = defaultdict(list)
        for ending in ledger.endings:
            self.endings[ending.session].append(ending)
        self.copies = Counter(label for labels in rows.values() for label in labels)

    def verdict(self) -> Verdict:
        faults = [*self.pages, *self._answers(), *self._rows(), *self._copies(), *self._emptied()]
        for session in self.sessions:
            faults += self._session(session)
        known = [self.visits[label] for label in self.copies if label in self.visits]
        return Verdict(
            faults,
            sessions=len(self.sessions),
            doubled=[label for label, count in self.copies.items() if count > 1],
            unanswered=sum(not visit.confirmed for visit in known),
        )

    def _answers(self) -> Iterator[str]:
        for visit in self.visits.values():
            if not visit.confirmed and visit.status not in UNKNOWN:
                yield f"visit {visit.label} was answered {visit.status}"
            other = visit.confirmed and visit.believed not in ("", visit.session)
            if other and not self._may_have_ended(visit.believed, visit.ended):
                yield f"visit {visit.label}: session {visit.believed} was lost"
        for session, endings in self.endings.items():
            for ending in endings:
                before = any(e.sent < ending.ended for e in endings if e is not ending)
                if ending.status not in UNKNOWN | {303} and not before:
                    yield f"to forget session {session} was answered {ending.status}"

    def _session(self, session: str) -> Iterator[str]:
        """What is wrong with a session that a page has shown."""
        if session not in self.rows:
            if not self._may_have_ended(session):
                yield f"session {session} has no row"
            return
        if any(ending.status == 303 for ending in self.endings[session]):
            yield f"session {session} was ended, and has a row"
        there = set(self.rows[session])
        for visit in self.sessions[session]:
            if visit.label not in there:
                yield f"visit {visit.label} was answered 200, and is not in session {session}"

    def _rows(self) -> Iterator[str]:
        for session, labels in self.rows.items():
            yield from self._row(session, labels)
            yield from self._order(session, labels)

    def _row(self, session: str, labels: Sequence[str]) -> Iterator[str]:
        """What a row may not hold."""
        if len({visitor_of(label) for label in labels}) > 1:
            yield f"session {session} holds the visits of several visitors: {labels[:5]}"
        for label in labels:
            visit = self.visits.get(label)
            if visit is None:
                yield f"session {session} holds {label}, which nobody asked for"
            elif not visit.confirmed and visit.status not in UNKNOWN:
                yield f"visit {label} was answered {visit.status}, and is in session {session}"
            elif visit.session != session and not self._may_be_elsewhere(visit, session):
                yield f"visit {label} is in session {session}, which its visitor never got"

    def _may_be_elsewhere(self, visit: Visit, session: str) -> bool:
        """Whether a visit may be in a session other than the one that its page showed.

        A page that did not come shows none. The visit is in the session that its visitor had; or,
        if there was none any more, in a row that the visitor was never told of.
        """
        if visit.confirmed and self.tries.get(visit.label, 1) == 1:
            return False
        if visit.believed == session:
            return True
        alone = session not in self.sessions
        return alone and (not visit.believed or self._may_have_ended(visit.believed))

    def _order(self, session: str, labels: Sequence[str]) -> Iterator[str]:
        """No visit is older than one that was answered before it was sent."""
        latest: Visit | None = None
        for visit in [self.visits[label] for label in reversed(labels) if label in self.visits]:
            if visit.confirmed and latest and visit.ended < latest.sent:
                yield f"session {session} has {visit.label} after {latest.label}, which came later"
            if latest is None or visit.sent > latest.sent:
                latest = visit

    def _copies(self) -> Iterator[str]:
        for label, count in self.copies.items():
            if count > self.tries.get(label, 1):
                yield f"visit {label} is there {count} times"

    def _emptied(self) -> Iterator[str]:
        """A row without a visit is what an ending left: one at most, with its message."""
        empty = sum(not labels for labels in self.rows.values())
        if empty > len(
            [1 for endings in self.endings.values() for e in endings if e.status != 400]
        ):
            yield f"{empty} rows hold no visit, more than there were endings"

    def _may_have_ended(self, session: str, by: float | None = None) -> bool:
        """Whether someone has asked to end the session, before the time `by` if it is given."""
        return any(by is None or ending.sent < by for ending in self.endings[session])
