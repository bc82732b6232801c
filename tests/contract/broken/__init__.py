"""Stores that break one promise each: `sessionsite.testing.StoreContract` must find all of them.

Each module enters its own into `FAULTS`, by what is wrong with them.
"""

from tests.contract.broken import altered, ends, failures, rows, saves, updates
from tests.contract.broken.sound import FAULTS, SoundContract, SoundStore

__all__ = [
    "FAULTS", "SoundContract", "SoundStore", "altered", "ends", "failures", "rows", "saves",
    "updates",
]  # fmt: skip
