"""docs/configuration.md: the lines for other packages' factories, as they stand there."""

from pathlib import Path

import pytest
from webtest import TestApp

from sessionsite import main
from tests.docs.blocks import SECRET, settings_of, take
from tests.harness.redis import Redis

REDIS, NACL, BEAKER = (
    block.code for block in take("configuration.md", "Other packages' factories", "ini")
)
NACL_KEY = "5e55104a7e57f00dbeadfacade1ca7ed0123456789abcdeffedcba9876543210"


def visit(lines: str, folder: Path, **variables: str) -> None:
    """A visitor of the site on these lines keeps a history, by a hardened cookie."""
    lines = lines.replace("%(here)s", str(folder))
    site = TestApp(main({}, **settings_of(lines, **variables)))
    environ = {"wsgi.url_scheme": "https", "HTTP_HOST": "localhost"}
    set_cookie = site.get("/", extra_environ=environ).headers["Set-Cookie"].strip()
    assert set_cookie.startswith("__Host-sessionsite=")
    assert "secure" in set_cookie.lower()
    assert "httponly" in set_cookie.lower()
    page = site.get("/about", extra_environ=environ)
    assert page.text.count('<li><a href="https://localhost/') == 2


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
def test_redis(redis: Redis, tmp_path: Path) -> None:
    visit(REDIS, tmp_path, SESSION_SECRET=SECRET, REDIS_URL=redis.url)


@pytest.mark.filterwarnings("ignore:PickleSerializer. pyramid.session.Pick:DeprecationWarning")
def test_nacl(tmp_path: Path) -> None:
    visit(NACL, tmp_path, SESSION_KEY=NACL_KEY)


def test_beaker(tmp_path: Path) -> None:
    visit(BEAKER, tmp_path, SESSION_SECRET=SECRET)
