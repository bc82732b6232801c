"""What is asked of a session factory, and of a session, beside Pyramid's own `ISessionFactory`.

A factory that you write around ours provides `IServerSessionFactory`
(`@zope.interface.implementer(IServerSessionFactory)`), and gets the pruner, the health check, the
`sessionsite` command and the pages' description by that.
"""

from pyramid.interfaces import ISession, ISessionFactory
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
        """Raise `StoreError` unless the store answers."""


class ISavedSession(ISession):
    """A session that is saved by itself, while there can still be an error page."""

    def save_for_response(request, error=None):
        """Store what has changed; `error` is the exception that ends the request, if one does.

        Raises `StoreError`, `PayloadError`, `HeadersSentError`.
        """

    def respond(request, response):
        """Tell browser and caches of it; return whether the last header is the cookie now."""

    def headers_sent():
        """Take note that no cookie can be sent any more: what needs one is refused from now on."""

    size = Attribute("how many bytes of JSON text are kept for it")


class IStoredSession(ISavedSession):
    """A session that has a row in a `SessionStore`."""

    id = Attribute("its public name: random, safe to log, the same through every rotation")
    seen_at = Attribute("when it was last stored before this request, aware and in UTC")
    expires_at = Attribute("when it ends if this request is its last, in UTC; None for never")
