"""Who a visitor is: the owner of the session, which `login()` sets and `logout()` ends."""

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.security import Allowed, Denied

from sessionsite.sessions import LoginHelper

from .models import User


def owner_of(user: User) -> str:
    """Return what the session keeps of a user. The id: a name may change, and pass to another."""
    return f"user:{user.id}"


class SecurityPolicy(LoginHelper):
    """`remember`, `forget` and `authenticated_userid` are those of the session's owner."""

    def identity(self, request: Request) -> User | None:
        owner = self.authenticated_userid(request)
        if owner is None:
            return None
        user: User | None = request.dbsession.get(User, int(owner.removeprefix("user:")))
        return user

    def permits(self, request: Request, context: Any, permission: str) -> Allowed | Denied:
        """Whatever needs a permission is for users, and for all of them."""
        return Denied("no user") if request.identity is None else Allowed("a user")


def includeme(config: Configurator) -> None:
    config.set_security_policy(SecurityPolicy())
    config.set_default_csrf_options(require_csrf=True)  # the token is the session's
