"""While a new version goes out, hosts differ: in code, table and secret. No visitor notices."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from sessionsite.sessions.sql.upgrade import NEWEST
from tests.harness.commands import SCRIPT
from tests.harness.observing import until
from tests.harness.old_release import OldRelease
from tests.harness.old_table import columns_of
from tests.harness.production import (
    HOSTS,
    SECRET,
    Browser,
    create_table,
    production_ini,
    start_worker,
)
from tests.harness.pserve import Pserve
from tests.harness.recording import ALL_VISITS, RecordingVisitor, browsing

pytestmark = [pytest.mark.servers, pytest.mark.all]

VISITORS = 4
PAUSE = 0.02  # seconds between two visits of one
OLD, NEW = "0" * 8 + SECRET, "1" * 8 + SECRET


@contextmanager
def load(processes: Sequence[Pserve], *before: RecordingVisitor) -> Iterator[None]:
    """Visitors who go from process to process, and those `before`; no visit fails or is lost."""
    urls = [process.url for process in processes]
    visitors = [*before, *(RecordingVisitor(*urls) for _ in range(VISITORS))]
    for visitor in before:
        visitor.turn_to(*urls)
    with browsing(visitors, PAUSE, refused=False) as errors:
        counts = [len(each.answered) for each in visitors]

        def each_has_been_everywhere() -> bool:
            return bool(errors) or all(
                len(each.answered) >= count + 4 * len(urls)
                for each, count in zip(visitors, counts, strict=True)
            )

        assert until(each_has_been_everywhere)
        yield
        counts = [len(each.answered) for each in visitors]
        assert until(each_has_been_everywhere)
    for process in processes:
        assert "Traceback" not in process.output()
        assert "may be stolen" not in process.output()


def test_old_code_new_code_and_the_upgrade_of_the_table_share_one_database(
    tmp_path: Path, postgres_url: str
) -> None:
    old = OldRelease(tmp_path)
    old_config = old.config(*ALL_VISITS)
    old.init_db(old_config, postgres_url)
    engine = sa.create_engine(postgres_url)
    assert "owner" not in columns_of(engine)
    config = production_ini(tmp_path, *ALL_VISITS)
    with ExitStack() as servers:
        first, second = (
            servers.enter_context(old.worker(old_config, tmp_path, postgres_url)).start()
            for _ in range(2)
        )
        resident = RecordingVisitor(first.url, second.url)
        with load([first, second], resident):
            upgrade_db(config, postgres_url)
        assert "owner" in columns_of(engine)
        engine.dispose()

        new = servers.enter_context(start_worker(tmp_path, config, DATABASE_URL=postgres_url))
        with load([first, new], resident):
            second.stop()
        newer = servers.enter_context(start_worker(tmp_path, config, DATABASE_URL=postgres_url))
        with load([newer, new], resident):
            first.stop()
        assert len(resident.answered) == len(set(resident.answered))


def upgrade_db(config: Path, url: str) -> None:
    done = subprocess.run(
        [SCRIPT, "upgrade-db", str(config)],
        env={"DATABASE_URL": url, "SITE_HOSTS": HOSTS},
        capture_output=True,
        text=True,
        check=True,
    )
    assert NEWEST in done.stdout


@pytest.mark.parametrize("ending", ["old", "new"])
def test_what_one_version_has_ended_the_other_does_not_open(
    tmp_path: Path, postgres_url: str, ending: str
) -> None:
    old = OldRelease(tmp_path)
    create_table(postgres_url)
    config = production_ini(tmp_path)
    with (
        old.worker(old.config(), tmp_path, postgres_url) as older,
        start_worker(tmp_path, config, DATABASE_URL=postgres_url) as newer,
    ):
        older.start()
        there, elsewhere = (older, newer) if ending == "old" else (newer, older)
        browser = Browser(elsewhere.url)
        browser.get("/about")
        before = dict(browser.cookies)
        browser.turn_to(there.url)
        assert len(browser.get("/contact").history) == 2
        assert browser.forget().status == 303
        assert browser.cookies != before
        browser.turn_to(elsewhere.url)
        assert browser.get("/").history == [f"{elsewhere.url}/"]
        browser.cookies = before
        assert browser.get("/").history == [f"{elsewhere.url}/"]


@pytest.mark.parametrize(
    "secrets",
    [
        pytest.param((OLD, f"{OLD} {NEW}"), id="the first step"),
        pytest.param((f"{OLD} {NEW}", f"{NEW} {OLD}"), id="the second step"),
        pytest.param((f"{NEW} {OLD}", NEW), id="the third step"),
    ],
)
def test_hosts_at_two_steps_of_a_new_secret_serve_the_same_visitors(
    tmp_path: Path, postgres_url: str, secrets: tuple[str, str]
) -> None:
    create_table(postgres_url)
    config = production_ini(tmp_path, *ALL_VISITS)
    with ExitStack() as servers:
        workers = [
            servers.enter_context(
                start_worker(tmp_path, config, DATABASE_URL=postgres_url, SESSION_SECRET=secret)
            )
            for secret in secrets
        ]
        with load(workers), load(workers[::-1]):
            pass


def test_a_step_that_was_left_out_costs_the_other_hosts_visitors_their_sessions(
    tmp_path: Path, postgres_url: str
) -> None:
    """Why there are three steps: a host with the old secret alone opens nothing of the new one."""
    create_table(postgres_url)
    config = production_ini(tmp_path)
    with (
        start_worker(tmp_path, config, DATABASE_URL=postgres_url, SESSION_SECRET=OLD) as old,
        start_worker(
            tmp_path, config, DATABASE_URL=postgres_url, SESSION_SECRET=f"{NEW} {OLD}"
        ) as new,
    ):
        browser = Browser(new.url)
        browser.get("/about")
        browser.turn_to(old.url)
        assert browser.get("/").history == [f"{old.url}/"]
        assert "A cookie that this site did not issue was ignored" in old.output()
