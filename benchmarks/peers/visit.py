"""What every Python peer does with its session at a visit, whatever package holds it."""

import json
import secrets
import time
from typing import Any

LIMIT = 20
TIMEOUT = 1200  # seconds
LIFETIME = 43200
TITLES = {"home": "Home", "about": "About", "contact": "Contact"}
PATHS = {"home": "/", "about": "/about", "contact": "/contact"}


def visit(session: Any, url: str, title: str) -> dict[str, Any]:
    """Record the visit of `url` in `session`; return what the page shows."""
    now = int(time.time())
    seen = session.get("seen", now)
    values = {
        "history": [url, *session.get("history", ())][:LIMIT],
        "created": session.get("created", now),
        "seen": now,
        "name": session.get("name") or secrets.token_urlsafe(16),
        "csrf_token": session.get("csrf_token") or secrets.token_hex(20),
    }
    session.update(values)
    return {
        "title": title,
        "limit": LIMIT,
        "history": values["history"],
        "csrf_token": values["csrf_token"],
        "details": [
            moment("Started", values["created"], now),
            moment("Last seen", seen, now),
            moment("Ends if unused", now + TIMEOUT, now),
            moment("Ends at the latest", values["created"] + LIFETIME, now),
            {"term": "Kept", "text": "in a PostgreSQL database"},
            {"term": "Size", "text": f"{len(json.dumps(values))} bytes"},
            {"term": "Name", "text": values["name"]},
        ],
    }


def moment(term: str, seconds: int, now: int) -> dict[str, str]:
    iso = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))
    return {"term": term, "text": relative(seconds - now), "moment": iso}


def relative(seconds: int) -> str:
    past = abs(seconds)
    if past < 1:
        return "just now"
    size, unit = (3600, "hour") if past >= 3600 else (60, "minute") if past >= 60 else (1, "second")
    count = round(past / size)
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"in {words}" if seconds > 0 else f"{words} ago"
