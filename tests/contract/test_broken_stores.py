"""The contract of stores is tested itself: it fails for every store that is broken on purpose."""

from typing import Any

import pytest

from sessionsite.testing import StoreContract
from tests.contract.broken import FAULTS, SoundContract, SoundStore

CONTRACT = [name for name in dir(StoreContract) if name.startswith("test_")]


def fails(test: str, store: Any) -> bool:
    try:
        getattr(SoundContract(), test)(store)
    except Exception:
        return True
    return False


@pytest.mark.parametrize("what", FAULTS)
def test_the_contract_finds_it(what: str) -> None:
    assert any(fails(test, FAULTS[what]()) for test in CONTRACT)


@pytest.mark.parametrize("test", CONTRACT)
def test_a_sound_store_passes(test: str) -> None:
    getattr(SoundContract(), test)(SoundStore())


@pytest.mark.parametrize("test", CONTRACT)
def test_each_test_of_the_contract_finds_something(test: str) -> None:
    assert any(fails(test, broken()) for broken in FAULTS.values())
