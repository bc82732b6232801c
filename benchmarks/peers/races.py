"""What the pages of the races do, in every Python peer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ACTIONS = "me|set|visit|touch|rotate|login|logout"


@dataclass(frozen=True)
class Races:
    """How a kind of session is marked as used, given a new id, and ended."""

    touch: Callable[[Any], object]
    rotate: Callable[[Any], object]
    end: Callable[[Any], object]

    def act(self, action: str, value: str, session: Any, work: str) -> tuple[dict[str, Any], float]:
        """Read the session, work for some milliseconds, and change it then.

        Returns what was read, and when.
        """
        data, loaded = dict(session.items()), time.time()
        if action == "visit":
            session["history"] = [value, *session.get("history", [])]
        time.sleep(float(work) / 1000)
        if action == "set":
            session[value] = "x"
        elif action == "touch":
            self.touch(session)
        elif action in ("rotate", "login"):
            self.rotate(session)
        elif action == "logout":
            self.end(session)
        if action == "login":
            session["user"] = value
        return data, loaded
