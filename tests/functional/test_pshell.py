"""`pshell production.ini`, with the session store in scope."""

import os
import subprocess
import sys
from typing import Any

from sessionsite.pshell import setup
from tests import ROOT
from tests.harness.production import SECRET
from tests.harness.stores import sql_store


def test_the_store_is_in_scope(sqlite_url: str) -> None:
    sql_store(sqlite_url).engine.dispose()
    done = subprocess.run(
        [sys.executable, "-m", "pyramid.scripts.pshell", str(ROOT / "production.ini")],
        input="from sessionsite.sessions.server.factory import utc_now\n"
        "print('rows to prune:', store.count_expired(utc_now()))\n",
        env={
            "PATH": os.environ["PATH"],
            "DATABASE_URL": sqlite_url,
            "SESSION_SECRET": SECRET,
            "SITE_HOSTS": "localhost",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "rows to prune: 0" in done.stdout


def test_a_factory_without_a_store_has_none_in_scope(make_site: Any) -> None:
    for name in ("development", "sqlite"):
        site = make_site(name)
        env = {"registry": site.app.registry}
        setup(env)
        assert env["store"] is getattr(site.factory, "store", None)
