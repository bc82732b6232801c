"""The races on a store that is no database: examples/own_store.py, in two processes."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.own_store import LMDBStore
from tests.races.clients import Site
from tests.races.gates import GateKeeper
from tests.races.processes import processes
from tests.races.test_durability import misses
from tests.races.test_endings import revivals, revivals_in_a_draw
from tests.races.test_rotation import wrong_rotations
from tests.races.test_updates import lost_increments, lost_keys, lost_messages, wrongly_popped

pytestmark = [pytest.mark.all, pytest.mark.servers]


@pytest.fixture(scope="module")
def on_lmdb(directory: Path, keeper: GateKeeper) -> Iterator[Site]:
    folder = directory / "lmdb"
    settings = {
        "session.store": "examples.own_store.store_from_settings",
        "session.store.folder": str(folder),
    }
    with processes(directory, keeper, "", settings=settings, own_store=LMDBStore(folder)) as site:
        yield site


def test_no_update_is_lost(on_lmdb: Site) -> None:
    assert lost_keys(on_lmdb, rounds=5) == 0
    assert lost_messages(on_lmdb, rounds=3) == 0
    assert wrongly_popped(on_lmdb, rounds=5) == 0
    assert lost_increments(on_lmdb, clients=20) == 0


def test_what_was_answered_is_stored(on_lmdb: Site) -> None:
    assert misses(on_lmdb, logins=100) == 0


def test_ended_is_ended(on_lmdb: Site) -> None:
    assert revivals(on_lmdb, races=100) == Counter()
    assert revivals_in_a_draw(on_lmdb, races=100) == Counter()


def test_a_rotation_leaves_one_token_and_loses_nothing(on_lmdb: Site) -> None:
    assert wrong_rotations(on_lmdb, races=100) == Counter()
