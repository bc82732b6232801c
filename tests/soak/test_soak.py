"""One minute of the soak; `make soak` is ten."""

from pathlib import Path

import pytest

from tests.harness.skipping import required
from tests.soak.run import soak

SECONDS = 60
SEED = 14


@pytest.mark.all
@pytest.mark.servers
def test_a_minute_of_faults_loses_and_leaks_nothing(tmp_path: Path) -> None:
    with required():
        outcome = soak(tmp_path, SECONDS, SEED)
    assert outcome.faults == [], outcome.text
    assert {event.kind for event in outcome.events} == set(outcome.kinds)
    assert sum(visit.confirmed for visit in outcome.ledger.visits) > 1000
