"""The cookie factory: the data in the cookie, signed and readable. Nothing to install.

A cookie can't be revoked: anyone who kept an old one can play it back until its idle time-out. Of
two parallel requests the later answer wins.
"""

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from typing import Any

from pyramid.request import Request
from zope.interface import implementer

from .checks import warn_of_weak_secrets
from .cookie_session import MAX_VALUE, CookieSession
from .cookie_state import StateCookie, is_over
from .description import SessionDescription
from .interfaces import IDescribedSessionFactory
from .opening import open_session
from .settings import CookieSettings, cookie_settings
from .store import utc_now

__all__ = ["session_factory_from_settings"]

log = logging.getLogger(__name__)

MAX_BYTES = MAX_VALUE * 3 // 4 - 96  # of JSON text: base64, the signature and two times go off


@implementer(IDescribedSessionFactory)
class CookieSessionFactory:
    """Makes `request.session`; thread-safe. `now` returns the time, aware and in UTC."""

    def __init__(self, settings: CookieSettings, now: Callable[[], dt.datetime] = utc_now) -> None:
        self.settings = settings
        self.now = now
        self.cookie = StateCookie(settings)
        self.description = SessionDescription(
            where="in the cookie itself",
            durability="is in your browser",
            replication="to no server",
            cookie=settings,
            lifetime=None,
            max_bytes=MAX_BYTES,
        )

    def __call__(self, request: Request) -> CookieSession:
        """Return the session of `request`, a new one if it has none."""
        session: CookieSession = open_session(request, self.cookie.header, self, self._open)
        return session

    def _open(self, request: Request) -> CookieSession:
        now = self.now().timestamp()
        live = [
            state
            for state in self.cookie.read(request)
            if not is_over(state, now, self.settings.timeout)
        ]
        if len(live) > 1:
            log.warning(
                "A request came with several cookies that open a session. One of them may "
                "have been planted: none is opened, and all are cleared"
            )
        return CookieSession(
            live[0] if len(live) == 1 else None,
            cookie=self.cookie,
            settings=self.settings,
            now=self.now,
            ambiguous=len(live) > 1,
        )


def session_factory_from_settings(settings: Mapping[str, Any]) -> CookieSessionFactory:
    """Return the cookie factory that the `session.*` keys of `settings` describe.

    Raises `ConfigurationError`.
    """
    options = cookie_settings(settings)
    warn_of_weak_secrets(options.secrets)
    return CookieSessionFactory(options)
