"""The table beside an app's own, under the app's Alembic: left alone, or owned by it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from sessionsite.sessions.sql import create_table, make_engine, sessions_table
from sessionsite.testing import START, record
from tests import ROOT
from tests.docs.blocks import take
from tests.harness.stores import settings_of, sql_store

LEFT_ALONE, OWNED = [block.code for block in take("deployment.md", "Alembic")]
IMPORT = OWNED.splitlines()[0]
IN_A_SCHEMA = LEFT_ALONE.replace('"sessions', '"web.sessions')
CONFIGURE = "connection=connection, target_metadata=target_metadata"
MODELS = """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

names = {"pk": "pk_%(table_name)s", "ix": "ix_%(column_0_label)s"}


class Base(DeclarativeBase):
    metadata = sa.MetaData(naming_convention=names)


sa.Table("users", Base.metadata, sa.Column("id", sa.Integer, primary_key=True))
"""
# Beside the tables of the default schema, those of all others.
ALL_SCHEMAS = "include_schemas=True"

pytestmark = pytest.mark.slow


class App:
    """A host app with its models and its migrations, on one database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.versions = folder / "migrations" / "versions"
        ini = folder / "alembic.ini"
        key = "sqlalchemy.url = "
        value = url.replace("%", "%%")
        ini.write_text(re.sub(f"(?m)^{key}.*", lambda _: key + value, ini.read_text()))

    def write(self, models: str = "", env: str = "", *options: str) -> None:
        """Write the models, and `env` and the options of `context.configure` into env.py."""
        (self.folder / "models.py").write_text(MODELS + models)
        path = self.folder / "migrations" / "env.py"
        metadata = f"from models import Base\ntarget_metadata = Base.metadata\n{env}\n"
        options = (CONFIGURE, "compare_server_default=True", *options)
        text = path.read_text().replace("target_metadata = None\n", metadata)
        path.write_text(text.replace(CONFIGURE, ", ".join(options)))

    def alembic(self, *arguments: str) -> None:
        """Run Alembic's own command."""
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def migration(self) -> str:
        """Have Alembic write a migration, and return its text."""
        before = set(self.versions.glob("*.py"))
        self.alembic("revision", "--autogenerate", "-m", "x")
        (path,) = set(self.versions.glob("*.py")) - before
        return path.read_text()

    def execute(self, statement: sa.Executable) -> None:
        engine = make_engine(settings_of(self.url))
        with engine.connect() as connection:
            connection.execute(statement)
        engine.dispose()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `alembic init` makes."""
    folder = tmp_path_factory.mktemp("alembic")
    command = [sys.executable, "-m", "alembic", "init", "migrations"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return folder


@pytest.fixture
def make_app(empty: Path, tmp_path: Path) -> Callable[[str], App]:
    def make(url: str) -> App:
        folder = tmp_path / url.partition(":")[0]
        return App(Path(shutil.copytree(empty, folder)), url)

    return make


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def app(request: pytest.FixtureRequest, make_app: Callable[[str], App]) -> App:
    return make_app(request.getfixturevalue(f"{request.param}_url"))


def holds_a_session(app: App, **options: str) -> bool:
    """Whether the store works on the table, which is there already."""
    store = sql_store(app.url, create_table=False, **options)
    assert create_table(store.engine, store.table) is False
    store.create(record())
    found = store.load("id-a", START) == record()
    store.close()
    return found


def options_of(engine: sa.Engine, table: str) -> object:
    """What CREATE TABLE has after its columns. Not every SQLAlchemy 2.0 reads it from these two."""
    with engine.connect() as connection:
        if engine.dialect.name != "postgresql":
            asked = sa.text("SELECT sql FROM sqlite_master WHERE name = :name")
            return str(connection.scalar(asked, {"name": table})).rpartition(")")[2]
        asked = sa.text("SELECT reloptions FROM pg_class WHERE relname = :name")
        options = connection.scalar(asked, {"name": table})
    assert options == ["fillfactor=80"]
    return options


def as_init_db_makes_it(app: App, table: str) -> bool:
    """Whether the database has the same of both, the names of keys and indexes aside."""
    store = sql_store(app.url, table="by_init_db")
    inspector = sa.inspect(store.engine)
    found = [
        (
            str(inspector.get_columns(name)),
            options_of(store.engine, name),
            inspector.get_pk_constraint(name)["constrained_columns"],
            [index["column_names"] for index in inspector.get_indexes(name)],
        )
        for name in (table, "by_init_db")
    ]
    store.close()
    return found[0] == found[1]


def test_alembic_would_drop_a_table_that_it_does_not_know(
    make_app: Callable[[str], App], sqlite_url: str
) -> None:
    app = make_app(sqlite_url)
    sql_store(app.url).close()
    app.write()
    assert "op.drop_table('sessions')" in app.migration()


def test_alembic_leaves_the_table_alone_as_documented(app: App) -> None:
    sql_store(app.url).close()
    app.execute(
        sa.schema.CreateTable(sa.Table("sessions_of_mine", sa.MetaData(), sa.Column("x", sa.Text)))
    )
    app.write("", LEFT_ALONE, "include_name=include_name")
    migration = app.migration()
    assert "op.create_table('users'" in migration
    assert "op.drop_table('sessions_of_mine')" in migration  # nothing else is left alone
    assert not re.search(r"\bsessions\b", migration)
    app.alembic("upgrade", "head")
    app.alembic("check")
    assert holds_a_session(app)


@pytest.mark.all
def test_alembic_leaves_the_table_alone_in_a_schema_too(
    make_app: Callable[[str], App], postgres_url: str
) -> None:
    app = make_app(postgres_url)
    app.execute(sa.schema.CreateSchema("web"))
    sql_store(app.url, schema="web").close()
    app.write("", IN_A_SCHEMA, "include_name=include_name", ALL_SCHEMAS)
    assert "sessions" not in app.migration()
    app.alembic("upgrade", "head")
    app.alembic("check")
    assert holds_a_session(app, schema="web")


def test_the_migrations_of_an_app_can_own_the_table(app: App) -> None:
    app.write(OWNED)
    migration = app.migration()
    assert "op.create_table('sessions'" in migration
    assert "sessionsite" not in migration
    app.alembic("upgrade", "head")
    app.alembic("check")  # finds no difference
    assert holds_a_session(app)
    assert as_init_db_makes_it(app, "sessions")


@pytest.mark.all
def test_they_can_own_it_in_a_schema_through_to_metadata(
    make_app: Callable[[str], App], postgres_url: str
) -> None:
    app = make_app(postgres_url)
    app.execute(sa.schema.CreateSchema("web"))
    owned = 'sessions_table("visits", "web").to_metadata(Base.metadata)'
    app.write(f"{IMPORT}\n{owned}\n", "", ALL_SCHEMAS)
    assert "sessionsite" not in app.migration()
    app.alembic("upgrade", "head")
    app.alembic("check")
    assert holds_a_session(app, table="visits", schema="web")


@pytest.mark.all
def test_a_migration_written_on_sqlite_runs_on_postgresql(
    make_app: Callable[[str], App], sqlite_url: str, postgres_url: str
) -> None:
    written, run = make_app(sqlite_url), make_app(postgres_url)
    for app in (written, run):
        app.write(f"{IMPORT}\nsessions_table().to_metadata(Base.metadata)\n")
    (run.versions / "1.py").write_text(written.migration())
    run.alembic("upgrade", "head")
    run.alembic("check")
    assert holds_a_session(run)


def test_an_apps_metadata_gives_the_table_its_schema() -> None:
    assert sessions_table(metadata=sa.MetaData(schema="web")).fullname == "web.sessions"
    assert sessions_table("s", "other", sa.MetaData(schema="web")).fullname == "other.s"
