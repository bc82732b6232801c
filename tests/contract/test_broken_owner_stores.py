"""The contract of owners is tested itself: it fails for what is broken on purpose."""

from collections.abc import Callable

import pytest

from sessionsite.testing import OwnerContract, StoreContract
from tests.contract.broken import owner_lists, owner_locks, owners
from tests.contract.broken.sound import SoundOwnerContract, SoundStore

FAULTS = owners.FAULTS | owner_lists.FAULTS | owner_locks.FAULTS
CONTRACT = [name for name in dir(OwnerContract) if name not in dir(StoreContract)]
SLOW = ("one_caller", "two_stores", "being_changed", "leaving")  # those with threads come last
TESTS = sorted(
    (name for name in CONTRACT if name.startswith("test_")),
    key=lambda name: any(word in name for word in SLOW),
)
RACES = 20  # of those that run threads against each other


def fails(test: str, make: Callable[..., SoundStore]) -> bool:
    try:
        for _ in range(RACES if "one_caller" in test else 1):
            getattr(SoundOwnerContract(), test)(make())
    except Exception:
        return True
    return False


@pytest.mark.parametrize("what", FAULTS)
def test_the_contract_finds_it(what: str) -> None:
    assert any(fails(test, FAULTS[what]) for test in TESTS)


@pytest.mark.parametrize("test", TESTS)
def test_a_sound_store_passes(test: str) -> None:
    assert not fails(test, SoundStore)
