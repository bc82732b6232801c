"""What is asked of a session factory, and of a session, beside Pyramid's own `ISessionFactory`.

A factory that you write around ours provides `IServerSessionFactory`
(`@zope.interface.implementer(IServerSessionFactory)`), and gets the pruner, the health check, the
`sessionsite` command and the pages' description by that.
"""

from typing import Any

from pyramid.interfaces import ISession, ISessionFactory
from pyramid.registry import Registry
from zope.interface import Attribute


class IDescribedSessionFactory(ISessionFactory):
    """A factory that can say what sessions it makes."""

    description = Attribute("the `SessionDescription` of the settings in force")


class IServerSessionFactory(IDescribedSessionFactory):
    """A factory whose sessions are in a `SessionStore`."""

    store = Attribute("the `SessionStore`")
    prune_interval = Attribute("seconds between two runs of the pruner in this server, or None")

    def now():
        """Return the time that the factory goes by, aware and in UTC."""

    def ping():
        """Raise `StoreError` unless the store can be read and written; cheap to call often."""


class ISavedSession(ISession):
    """A session of ours, of either factory: what an app calls, and what saves it.

    A change anywhere inside is seen by `save`. The methods below are a RuntimeError inside the
    change of `transact`. A copy and a pickle are plain dicts.
    """

    id = Attribute("its public name: random, safe to log, the same through every rotation")
    seen_at = Attribute("when it was last stored before this request, aware and in UTC")
    expires_at = Attribute("when it ends if this request is its last, in UTC; None for never")
    size = Attribute("how many bytes of JSON text are kept for it")

    owner = Attribute("whose it is, in the app's own words, or None; can be set")
    label = Attribute("what its owner may know it by, or None; can be set")
    has_own_lifetime = Attribute("whether `set_lifetime` has set anything")

    def set_lifetime(*, timeout, lifetime, persistent):
        """Give it time-outs of its own, in seconds; what is not given stays as it is.

        Raises TypeError, ValueError.
        """

    def lifetime_from_now(seconds):
        """Return the `lifetime` for `set_lifetime` that lasts for `seconds` from now on."""

    def regenerate():
        """Give it a new token and a new CSRF token; the data and the id stay.

        For every change of privileges, a login above all (ASVS 7.2.4).
        """

    def touch():
        """Push the idle time-out back with this request, even if that is not due yet."""

    def save():
        """Store what has changed now; a cookie is checked now, and leaves with the response.

        Raises `StoreError`, `PayloadError`, `HeadersSentError`.
        """

    def reload():
        """Drop the changes that are not stored, and take the newest data that can be had.

        Raises `SessionEndedError`, `StoreError`.
        """

    def transact(change):
        """Call `change(session)` on the newest data, alone; return what it returns.

        Only a store has newer data, and a lock. What `change` raises undoes it. Raises
        `SessionEndedError`, `StoreError`, `PayloadError`.
        """

    def save_for_response(request, error=None):
        """Store what has changed; `error` is the exception that ends the request, if one does.

        Raises `StoreError`, `PayloadError`, `HeadersSentError`.
        """

    def respond(request, response):
        """Tell browser and caches of it; return whether the last header is the cookie now."""

    def headers_sent():
        """Take note that no cookie can be sent any more: what needs one is refused from now on."""


class IStoredSession(ISavedSession):
    """A session that has a row in a `SessionStore`.

    It can be ended from outside, parallel changes are merged, and `transact` holds the row's lock.
    """


def server_factory(registry: Registry) -> Any | None:
    """Return the app's session factory if it provides `IServerSessionFactory`, else None."""
    factory = registry.queryUtility(ISessionFactory)
    return factory if IServerSessionFactory.providedBy(factory) else None


def ping(registry: Registry, *, deep: bool = True) -> None:
    """Raise `StoreError` unless the store of the app's session factory answers.

    `deep`: whether it is written as well; otherwise it is read. A factory that has no
    `SessionStore` is not asked.
    """
    factory = server_factory(registry)
    if factory is None:
        return
    if deep:
        factory.ping()
    else:
        factory.store.load("", factory.now())


def remark(registry: Registry) -> str | None:
    """Return what is wrong with the store though it answers, for an operator; or None.

    Raises `StoreError`.
    """
    factory = server_factory(registry)
    said: str | None = None if factory is None else factory.store.remark()
    return said
