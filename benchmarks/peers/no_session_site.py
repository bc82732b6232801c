"""Our site with no session factory, and a fixed list of visits, for `pserve no_session.ini`.

It is the site itself; into what its pages get to show, the same visits and details are put for
everybody.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from pyramid.request import Request
from pyramid.router import Router
from visit import LIFETIME, LIMIT, TIMEOUT

import sessionsite
import sessionsite.views
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


def main(global_config: dict[str, str], **settings: Any) -> Router:
    now = datetime.now(UTC)
    visits = {
        "history": [URLS[i % 3] for i in range(LIMIT)],
        "viewed": True,
        "details": [
            detail("Started", "just now", now),
            detail("Last seen", "just now", now),
            detail("Ends if unused", "in 20 minutes", now + timedelta(seconds=TIMEOUT)),
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

    replace("page", page)
    replace("policy", lambda request: POLICY)
    return sessionsite.main(global_config, **settings)


def replace(name: str, value: Any) -> None:
    getattr(sessionsite.views, name)  # renamed meanwhile: an error, not a page without visits
    setattr(sessionsite.views, name, value)


def detail(term: str, text: str, time: datetime | None = None) -> Detail:
    return Detail(term, text, time.isoformat(timespec="seconds") if time else "")
