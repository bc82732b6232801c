"""A database whose defaults are such that a session store which relies on them fails."""

from psycopg import sql

from tests.harness.postgres import Postgres

ISOLATION = ["repeatable read", "serializable"]
DEFAULTS = {
    "default_transaction_deferrable": "on",
    "default_transaction_read_only": "on",
    "lock_timeout": "1ms",
    "statement_timeout": "200ms",
    "idle_in_transaction_session_timeout": "200ms",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kolkata",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "backslash_quote": "on",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "plan_cache_mode": "force_generic_plan",
    "synchronous_commit": "off",
}


def hostile_database(postgres: Postgres, isolation: str) -> str:
    """The URL of a new database with `DEFAULTS`, and this isolation level."""
    url = postgres.create_database("hostile")
    name = sql.Identifier(url.rpartition("/")[2].partition("?")[0])
    alter = sql.SQL("ALTER DATABASE {} SET {} = {}")
    with postgres.connect() as admin:
        for key, value in (DEFAULTS | {"default_transaction_isolation": isolation}).items():
            admin.execute(alter.format(name, sql.Identifier(key.lower()), sql.Literal(value)))
    return url
