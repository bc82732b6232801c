"""`Database`: everything in which PostgreSQL and SQLite differ, as the SQL store asks for it."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import sqlalchemy as sa


class Statement(Protocol):
    """What a database makes of one statement."""

    def run(
        self, connection: Any, values: Mapping[str, Any], *, skip_malformed: bool = False
    ) -> tuple[Sequence[Sequence[Any]], int]:
        """Run it on a connection of the driver's, with `values` for its parameters.

        Returns the rows, and how many were read or written. Raises the driver's errors, and
        `MalformedRecordError` for a row that can't be read; `skip_malformed` leaves such rows out.
        """


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What `sqlalchemy.create_engine` is to be called with, beside what the operator has set."""

    url: sa.URL
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SweepLocks:
    """The statements by which processes take turns at pruning."""

    take: sa.Select[Any]
    """Takes the turn until `release`, or until the connection ends; no transaction is open."""
    release: sa.Select[Any]
    take_for_a_transaction: sa.Select[Any]
    """The same behind a pooler, which hands each transaction to another of its connections."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong, and what to do about it."""

    text: str
    """What is wrong."""
    mend: str
    """What to do."""


class Database(Protocol):
    """One database; implemented in `postgresql.py` and `sqlite.py`, chosen in `engine.py`."""

    where: str
    """Completes the sentence "Your session is kept …"."""
    durability: str
    """Completes the sentence "What a page has shown you …"."""
    replication: str
    """Completes the sentence "It is copied …"."""
    survives_forks: bool
    """Whether a child may open connections while it has, unused, some of its parent's."""
    creation_isolation: Literal["READ COMMITTED", "SERIALIZABLE"]
    """The isolation level of the transaction that creates the table."""
    sweep_locks: SweepLocks | None
    """Give True to one process at a time; None where writers wait for each other anyway."""
    counts_what_it_deletes: bool
    """Whether a SELECT may have a DELETE in it: then no row of the deleted comes back."""
    commits_at_once: sa.ColumnElement[bool] | None
    """True, and has the transaction's commit wait for no disk and no standby; None likewise."""
    owner_lock: sa.Select[Any] | None
    """Waits until no other transaction has the lock `:owner_number`; None likewise."""

    @abstractmethod
    def engine_options(self, url: str, timeout: int) -> EngineOptions:
        """Read what the operator wrote as `url`; `timeout` is in seconds.

        Raises `ConfigurationError`, which shows no part of a password.
        """

    @abstractmethod
    def listen(self, engine: sa.Engine, timeout: int, change_timeout: int) -> None:
        """Have each new connection of `engine` prepared.

        In seconds: how long a statement may take, and how long a change of the app's may in the
        midst of a transaction.
        """

    @abstractmethod
    def begin(self, dialect: sa.Dialect, *, for_change: bool) -> Statement:
        """Return what begins a transaction; `for_change`: one that calls a change of the app's."""

    @abstractmethod
    def give_time(self, connection: Any) -> None:
        """Let statements on the driver's connection take their time, until `take_time`."""

    @abstractmethod
    def take_time(self, connection: Any) -> None:
        """Have the limits of requests hold again."""

    @abstractmethod
    def statement(self, name: str, statement: sa.Executable, dialect: sa.Dialect) -> Statement:
        """Return `statement`, ready to run under `name`."""

    @abstractmethod
    def keeps_locks(self, connection: Any) -> bool:
        """Return whether a lock of the driver's connection lasts longer than a transaction."""

    @abstractmethod
    def lock_creation(self, connection: sa.Connection) -> None:
        """Let nobody else create the table until this connection's transaction ends."""

    @abstractmethod
    def clock_fault(self, connection: sa.Connection) -> Fault | None:
        """Return what is wrong if the database's clock and this host's are seconds apart."""

    @abstractmethod
    def faults(self, connection: sa.Connection, table: sa.Table) -> Iterable[Fault]:
        """Return what is wrong with the database, as far as it can be asked."""

    @abstractmethod
    def prepare_upgrade(self, connection: sa.Connection) -> bool:
        """Let nobody else upgrade the table until this connection is closed; False: others do.

        No statement waits for a lock of others for longer than a moment; each may take any time.
        """

    @abstractmethod
    def prepare_index(self, connection: sa.Connection, name: str, schema: str | None) -> None:
        """Drop an index whose building was interrupted; in AUTOCOMMIT mode.

        What builds it may wait for as long as it takes from now on, since nobody waits for that.
        """

    @abstractmethod
    def is_others_turn(self, error: Exception) -> bool:
        """Return whether an upgrade has to wait: for a lock, or since another one was first."""

    @abstractmethod
    def is_missing_table(self, error: Exception) -> bool:
        """Return whether a driver's error means that the table is not there."""

    @abstractmethod
    def is_missing_column(self, error: Exception) -> bool:
        """Return whether a driver's error means that the table lacks a column."""

    @abstractmethod
    def is_forbidden(self, error: Exception) -> bool:
        """Return whether a driver's error means that the role lacks a right."""

    @abstractmethod
    def is_taken(self, error: Exception) -> bool:
        """Return whether a driver's error means that another row has a value that is unique."""

    @abstractmethod
    def is_conflict(self, error: Exception) -> bool:
        """Return whether a driver's error means that a parallel transaction was first."""

    @abstractmethod
    def is_locked(self, error: Exception) -> bool:
        """Return whether a driver's error means that a lock was not had in time."""

    @abstractmethod
    def is_time_out(self, error: Exception) -> bool:
        """Return whether a driver's error means that a statement took too long, for any reason."""

    @abstractmethod
    def is_unreplicated(self, error: Exception) -> bool:
        """Return whether a driver's error means that a commit may be lost with the primary."""
