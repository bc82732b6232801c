"""Whether this process reaches the store: told once when it is lost, and once when it is back."""

from ..events import Teller
from ..store import MergeTooLargeError, StoreError


class Availability:
    """One factory's view of its store; thread-safe without a lock, which a fork could leave taken.

    A dict's `setdefault` and `pop` are atomic.
    """

    __slots__ = ("_lost",)

    def __init__(self) -> None:
        self._lost: dict[str, object] = {}  # empty while the store answers

    def lost(self, error: StoreError, tell: Teller) -> None:
        """Note that the store has failed."""
        if isinstance(error, MergeTooLargeError):  # the store has answered
            return
        claim = object()
        if self._lost.setdefault("now", claim) is claim:
            tell.unavailable(str(error))

    def answered(self, tell: Teller) -> None:
        """Note that the store has answered."""
        if self._lost and self._lost.pop("now", None) is not None:
            tell.back()
