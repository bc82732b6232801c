"""The `sessionsite` command, and a database for it."""

import gc
from collections.abc import Iterator

import pytest

from sessionsite.cli import main
from tests.harness.commands import Run


@pytest.fixture(scope="session")
def _frozen() -> Iterator[None]:
    """Have the collections below look at what is made from now on, not at all that pytest has."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], _frozen: None) -> Run:
    """Run the command in this process; its exit status, stdout and stderr."""

    def run(*argv: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(argv)
        gc.collect()  # what was left open is an error of this test, not of a later one
        return status, *capsys.readouterr()

    return run


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, the one of production.ini. No command here needs SESSION_SECRET."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.delenv("SESSION_SECRET", raising=False)
    return url
