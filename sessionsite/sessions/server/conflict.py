"""One request's changes, on their way into a row that another request has changed meanwhile."""

from collections.abc import Callable

from ..store import Record
from .merge import merge_texts

# So often a request merges outside the row's lock, before it does so under the lock.
TRIES = 3


class _MergeFirstError(Exception):
    """The row holds another payload, to be merged before its lock is taken again."""

    def __init__(self, theirs: str) -> None:
        super().__init__(theirs)
        self.theirs = theirs


class Conflict:
    """Merges `ours`, changed from `base`, into what is stored: outside the row's lock if possible.

    Others wait for the lock, and to merge long lists takes time. So the merge comes first, and what
    comes out is stored if the row still holds what went in. `tries`: how often that is left to do.
    `merged`: what another request has changed is in what comes out.
    """

    def __init__(self, base: str, ours: str, call: Callable[..., str]) -> None:
        """`call` calls a function, and does what there is to do when it raises `StoreError`."""
        self._base = base
        self._ours = ours
        self._call = call
        self._theirs, self._merged = base, ours
        self.merged = False
        self.tries = TRIES

    def merge(self, theirs: str) -> str:
        """Merge into `theirs`, and keep what comes out. Raises `MergeTooLargeError`."""
        self.tries -= 1
        self.merged = theirs != self._base
        self._merged = self._call(merge_texts, self._base, self._ours, theirs)
        self._theirs = theirs
        return self._merged

    def update(
        self,
        update: Callable[[Callable[[Record], Record]], Record | None],
        change: Callable[[Record, str], Record],
    ) -> Record | None:
        """Call `update`, a store's for one row, and return what it does.

        `change` gets the newest row, and its payload with ours merged in. Raises
        `MergeTooLargeError`, and what both raise.
        """
        while True:
            try:
                return update(lambda row: change(row, self._under_lock(row.payload)))
            except _MergeFirstError as exc:
                self.merge(exc.theirs)

    def _under_lock(self, theirs: str) -> str:
        if theirs == self._theirs:
            return self._merged
        if self.tries and self._ours != self._base:  # with no changes there is nothing to merge
            raise _MergeFirstError(theirs)
        self.merged = theirs != self._base and self._ours != self._base
        return merge_texts(self._base, self._ours, theirs)
