"""`session.max_per_owner`: makes room for an owner's next session, or refuses it."""

from collections.abc import Sequence
from datetime import datetime

from ..owner_store import OwnerStore, SessionSummary
from ..settings import ServerSettings
from ..store import SessionLimitError


def make_room(
    store: OwnerStore, settings: ServerSettings, owner: str, id: str, now: datetime
) -> Sequence[SessionSummary]:
    """End the owner's sessions that are too many beside the one with `id`; return them.

    Those that were unused for longest go. Call it under the owner's lock. Raises
    `SessionLimitError` where a further session is to be refused.
    """
    limit = settings.max_per_owner
    others = [each for each in store.sessions_of(owner, now) if each.id != id]
    if limit is None or len(others) < limit:
        return ()
    if settings.on_limit == "refuse":
        raise SessionLimitError(f"there are {len(others)} sessions, and {limit} are allowed")
    ended = others[limit - 1 :]
    for each in ended:
        store.delete(each.id)
    return ended
