"""Our site with no session factory: `python -m waitress benchmarks.peers.no_session:app`.

It is the site itself, as production.ini sets it up; its pages show the same visits and details
to every visitor.
"""

import logging
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from pyramid.paster import get_appsettings
from pyramid.request import Request

import sessionsite
import sessionsite.views
from benchmarks.peers.install import PRODUCTION
from benchmarks.peers.visit import LIFETIME, LIMIT, TIMEOUT
from sessionsite.session_info import Detail

URLS = [f"https://bench.example/{path}" for path in ("contact", "about", "")]
POLICY = {
    "where": "in a PostgreSQL database",
    "cookie": "__Host-sessionsite",
    "secure": True,
    "httponly": True,
    "samesite": "Lax",
    "max_age": "12 hours",
    "timeout": "20 minutes",
    "lifetime": "12 hours",
}


def detail(term: str, text: str, time: datetime | None = None) -> Detail:
    return Detail(term, text, time.isoformat(timespec="seconds") if time else "")


def replace(name: str, value: Any) -> None:
    getattr(sessionsite.views, name)  # renamed meanwhile: an error, not a page without visits
    setattr(sessionsite.views, name, value)


now = datetime.now(UTC)
visits = {
    "history": [URLS[i % 3] for i in range(LIMIT)],
    "viewed": True,
    "details": [
        detail("Started", "just now", now),
        detail("Seen before", "just now", now),
        detail("Ends unused", "in 20 minutes", now + timedelta(seconds=TIMEOUT)),
        detail("Ends at the latest", "in 12 hours", now + timedelta(seconds=LIFETIME)),
        detail("Kept", "in a PostgreSQL database"),
        detail("Size", "645 bytes"),
        detail("Name", secrets.token_urlsafe(16)),
    ],
    "csrf_token": secrets.token_hex(20),
}
own_page = sessionsite.views.page


def page(request: Request, title: str) -> dict[str, Any]:
    return own_page(request, title) | visits


logging.getLogger("waitress.queue").setLevel("ERROR")  # as production.ini does
replace("page", page)
replace("policy", lambda request: POLICY)
settings = {
    key: value
    for key, value in get_appsettings(str(PRODUCTION)).items()
    if not key.startswith("session.") and key != "sessionsite.session_factory"
}
app = sessionsite.main({}, **settings)
