"""For tests, of this project and of others: a store in memory, the contract that every store
keeps, the session of a WebTest app, and one for views without an app.

pytest's fixtures are in `sessionsite.testing.plugin`.
"""

from ..sessions import MemoryStore
from .contract import StoreContract
from .dummy import DummySession, memory_store
from .owners import OwnerContract
from .records import START, in_parallel, record
from .visitor import session

__all__ = [
    "START",
    "DummySession",
    "MemoryStore",
    "OwnerContract",
    "StoreContract",
    "in_parallel",
    "memory_store",
    "record",
    "session",
]
