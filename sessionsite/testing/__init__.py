"""For tests, of this project and of others: a store in memory, the contract that every store
keeps, and the session of a WebTest app.
"""

from ..sessions import MemoryStore
from .contract import StoreContract
from .owners import OwnerContract
from .records import START, in_parallel, record
from .visitor import session

__all__ = [
    "START",
    "MemoryStore",
    "OwnerContract",
    "StoreContract",
    "in_parallel",
    "record",
    "session",
]
