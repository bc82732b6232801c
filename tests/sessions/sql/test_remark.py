"""What a store says of itself beside the table's version, which test_upgrade.py has."""

from datetime import timedelta

import pytest

from sessionsite.sessions import utc_now
from sessionsite.sessions.sql import postgresql_faults
from tests.harness.hostile import ISOLATION, hostile_database
from tests.harness.postgres import Postgres
from tests.harness.stores import sql_store


@pytest.mark.parametrize("hostile", [False, True])
def test_a_clock_apart_is_said_once_the_table_is_well(
    postgres: Postgres, postgres_url: str, monkeypatch: pytest.MonkeyPatch, hostile: bool
) -> None:
    store = sql_store(hostile_database(postgres, ISOLATION[1]) if hostile else postgres_url)
    assert store.remark() is None
    early = utc_now() + timedelta(hours=1)
    monkeypatch.setattr(postgresql_faults, "utc_now", lambda: early)
    said = store.remark() or ""
    assert said.startswith("the clock of the database is -3")
    assert said.endswith("seconds apart from this host's: have both set their clocks by NTP")
    with store.engine.connect() as connection:  # in AUTOCOMMIT mode
        connection.exec_driver_sql("UPDATE sessions_version SET version_num = '0999'")
    assert "version 0999" in (store.remark() or "")
    store.close()
