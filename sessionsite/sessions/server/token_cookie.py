"""The cookie: a session's id and its token, signed. Here it is read, sent and deleted.

The id finds the row by its primary key, and the token opens it: a split token. The token is stored
nowhere; the table has its SHA-256. The CSRF token is made from the token, or is in the cookie too:
even where a cookie opens nothing any more, a form that came with it is told from a forged one.
"""

import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass
from typing import Literal

from pyramid.request import Request
from pyramid.response import Response

from ..cookie_header import CookieHeader
from ..response import CookiePath, clear_session_cookies, set_session_cookie
from ..settings import ServerSettings
from ..signing import RotatingSigner

log = logging.getLogger(__name__)

TOKEN_BYTES = 32  # ASVS 7.2.3 asks for 16


@dataclass(slots=True)  # a frozen one takes twice as long to make, at each request
class Credentials:
    """What a cookie carries."""

    id: str
    token: bytes
    carried: str = ""
    """The session's CSRF token, where it is not the one that is made from the token."""

    @property
    def csrf_token(self) -> str:
        return self.carried or csrf_token_of(self.token)

    def __repr__(self) -> str:
        return f"<Credentials of session {self.id}>"  # the token shows nowhere


@dataclass(frozen=True, slots=True)
class NewCookie:
    """A cookie that is to be sent."""

    credentials: Credentials
    max_age: int | None
    """Seconds; None: until the browser is closed."""


Answer = NewCookie | Literal["end"] | None
"""What the browser is to be told: a new token, that the session has ended, or nothing."""


def new_token() -> bytes:
    return secrets.token_bytes(TOKEN_BYTES)


def hash_token(token: bytes) -> bytes:
    """Return what the store may know of a token; nobody gets back from it (CS at rest).

    One SHA-256 does: the token is 256 random bits, which no dictionary has.
    """
    return hashlib.sha256(token).digest()


def csrf_token_of(token: bytes) -> str:
    """Return the CSRF token of a session with `token`: 160 bits, from which nobody gets back.

    That is BLAKE2 with a key (RFC 7693): as good as an HMAC here, and each new session pays for it.
    """
    return hashlib.blake2b(b"CSRF token", key=token, digest_size=20).hexdigest()


def same_hash(one: bytes | None, other: bytes | None) -> bool:
    """Compare two token hashes in constant time; None, for "no token", equals nothing."""
    return one is not None and other is not None and hmac.compare_digest(one, other)


class _CredentialsSerializer:
    """WebOb's shape of a serializer: the token first, since its length is fixed.

    A full stop, which no id has, stands before a CSRF token.
    """

    def dumps(self, appstruct: Credentials) -> bytes:
        carried = f".{appstruct.carried}" if appstruct.carried else ""
        return appstruct.token + f"{appstruct.id}{carried}".encode("ascii")

    def loads(self, bstruct: bytes) -> Credentials:
        token, rest = bstruct[:TOKEN_BYTES], bstruct[TOKEN_BYTES:].decode("ascii")
        id_, _, carried = rest.partition(".")
        if not id_:
            raise ValueError("too short for a token and an id")
        return Credentials(id_, token, carried)


class TokenCookie:
    """Reads, sends and deletes the cookie; thread-safe."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._signer = RotatingSigner(
            settings.secrets, "sessionsite.server.", _CredentialsSerializer()
        )
        self.header = CookieHeader(settings.cookie_name)
        self._path = CookiePath(settings.path)
        self._warned_of_plain_http = False

    def read(self, request: Request) -> list[Credentials]:
        """Return what the request's cookies carry, those that we have signed, without repeats."""
        found = []
        for value in self.header.values(request):
            try:
                found.append(self._signer.loads(value.encode("ascii")))
            except ValueError:
                log.warning("A cookie that this site did not issue was ignored")
        return found

    def clear(self, request: Request, response: Response) -> None:
        """Delete every cookie of the name that the request can have come with."""
        clear_session_cookies(request, response, self._settings, self.is_secure(request))

    def answer(self, request: Request, response: Response, answer: Answer) -> None:
        """Write the Set-Cookie that tells the browser `answer`; none for None."""
        if answer == "end":
            set_session_cookie(response, self._settings, "", 0, self.is_secure(request))
        elif answer is not None:
            self._send(request, response, answer)

    def _send(self, request: Request, response: Response, cookie: NewCookie) -> None:
        """Send a token: once, and never again, since a late response would undo a newer one."""
        secure = self.is_secure(request)
        if secure and _scheme(request) != "https" and not self._warned_of_plain_http:
            self._warned_of_plain_http = True
            log.warning(
                "A Secure cookie goes out on a plain http request, and browsers will drop it. "
                "Behind a TLS proxy: is its address the trusted_proxy in [server:main], "
                "and does it send X-Forwarded-Proto?"
            )
        self._path.check(request)
        value = self._signer.dumps(cookie.credentials).decode("ascii")
        set_session_cookie(response, self._settings, value, cookie.max_age, secure)

    def is_secure(self, request: Request) -> bool:
        """Return whether a cookie goes out with `Secure`."""
        if self._settings.secure == "auto":
            return _scheme(request) == "https"
        return self._settings.secure


def _scheme(request: Request) -> str:
    return getattr(request, "scheme", "http")  # Pyramid's DummyRequest has none
