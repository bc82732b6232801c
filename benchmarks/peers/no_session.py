"""Our site with no session factory: `python -m waitress benchmarks.peers.no_session:app`.

It is the site itself, as production.ini sets it up; into what its pages get to show, the same
visits and details are put for everybody.
"""

from typing import Any

from pyramid.paster import get_appsettings
from pyramid.request import Request

import sessionsite
import sessionsite.views
from benchmarks import PRODUCTION
from benchmarks.peers.visit import LIMIT, visit
from sessionsite.session_info import Detail, history_items

URLS = [f"https://bench.example/{path}" for path in ("contact", "about", "")]
POLICY = {
    "where": "in a PostgreSQL database",
    "durability": "is on the database server's disk",
    "replication": "to the standby servers that the database has",
    "cookie": "__Host-sessionsite",
    "secure": True,
    "httponly": True,
    "samesite": "Lax",
    "max_age": "12 hours",
    "timeout": "20 minutes",
    "lifetime": "12 hours",
}

shown = visit({"history": URLS * LIMIT}, URLS[-1], "")
visits = {
    "history": history_items(shown["history"]),
    "visits": LIMIT,
    "viewed": True,
    "details": [Detail(**{"moment": "", **detail}) for detail in shown["details"]],
    "csrf_token": shown["csrf_token"],
}
own_page = sessionsite.views.page


def page(request: Request, title: str) -> dict[str, Any]:
    return own_page(request, title) | visits


sessionsite.views.page = page
sessionsite.views.policy = lambda request: POLICY  # type: ignore[attr-defined]
settings = {
    key: value
    for key, value in get_appsettings(PRODUCTION).items()
    if not key.startswith("session.") and key != "sessionsite.session_factory"
}
app = sessionsite.main({}, **settings)
