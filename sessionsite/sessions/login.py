"""A login that is right by default, and its end, with every session factory of ours.

`LoginHelper` does the same as the `remember` and `forget` of a security policy.
"""

from collections.abc import Iterable
from typing import Any

from pyramid.request import Request

from .own import checked_owner


def login(request: Request, owner: str, lifetime: int | None = None) -> None:
    """Give the visitor's session to `owner`, with a new token and a new CSRF token.

    What the visitor has put into the session before stays, unless it was another owner's: then
    that session ends, and a new one begins (ASVS 7.2.4). It is stored when this returns. A login
    without `lifetime` has the settings' time-outs, whatever an earlier one had.

    `owner`: a text of the app's own, such as "user:42". `lifetime`: "remember me", seconds for
    which the login lasts on this browser, used or not, but no longer than `session.max_lifetime`
    from the session's creation. What is raised leaves nobody logged in: TypeError, ValueError,
    `SessionLimitError` where the owner has too many sessions, `PayloadError`, `StoreError`.
    """
    session = request.session
    if checked_owner(owner) is None:
        raise TypeError("login: the owner is None; call logout")
    remembered = None if lifetime is None else session.lifetime_from_now(lifetime)
    if session.owner is not None and session.owner != owner:
        session.invalidate()
    elif remembered is None and session.has_own_lifetime:
        # Not remembered any more. The session may be older than others become: another one goes on.
        data, label = dict(session), session.label
        session.invalidate()
        session.update(data)
        session.label = label
    session.owner = owner
    session.regenerate()
    if remembered is not None:
        session.set_lifetime(timeout=lifetime, lifetime=remembered, persistent=True)
    session.save()


def logout(request: Request) -> None:
    """End the visitor's session: what is put in from now on is another one, of nobody.

    It takes effect with the response. It is no error if nobody was logged in.
    """
    request.session.invalidate()


class LoginHelper:
    """The part of an `ISecurityPolicy` that remembers who a visitor is: the session's owner.

    A policy of an app keeps one, and passes `remember` and `forget` on to it.
    """

    def authenticated_userid(self, request: Request) -> str | None:
        """Return the owner of the visitor's session; None for nobody's. Raises `StoreError`."""
        owner: str | None = request.session.owner
        return owner

    def remember(
        self, request: Request, userid: str, lifetime: int | None = None, **_kw: Any
    ) -> Iterable[tuple[str, str]]:
        """Do what `login` does, and return no headers: the session sends its own cookie."""
        login(request, userid, lifetime)
        return []

    def forget(self, request: Request, **_kw: Any) -> Iterable[tuple[str, str]]:
        """Do what `logout` does, and return no headers."""
        logout(request)
        return []
