"""What a response says has been stored before it is sent: the next request finds it, anywhere."""

from collections.abc import Callable

import pytest

from tests.races.clients import Site
from tests.races.logins import misses


def test_a_thousand_redirects_after_a_login_find_it(on_postgresql: Site) -> None:
    assert misses(on_postgresql) == 0


def test_the_same_on_sqlite(on_sqlite: Site) -> None:
    assert misses(on_sqlite, 50, clients=10) == 0  # more would wait too long for the one writer


@pytest.mark.all
def test_the_same_on_a_store_of_ones_own(on_lmdb: Site) -> None:
    assert misses(on_lmdb, logins=100) == 0


def test_a_store_that_writes_behind_is_found(naive: Callable[..., Site]) -> None:
    assert misses(naive("WriteBehindStore"), 100) > 0
