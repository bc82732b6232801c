"""What the sessions of both factories share: a dict with Pyramid's `ISession`, and `transact`."""

import secrets
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

from .own import UNSET, Own, checked_label, checked_lifetime, checked_owner, checked_seconds
from .payload import CSRF_KEY, FLASH_PREFIX

T = TypeVar("T")
ID_BYTES = 16


def new_id() -> str:
    """Return the public name of a new session: 128 random bits, in 22 characters.

    None begins with a hyphen: on a command line that would be an option.
    """
    while (id_ := secrets.token_urlsafe(ID_BYTES)).startswith("-"):
        pass
    return id_


class SessionData(dict[str, Any]):
    """A session's data, and what an app calls, wherever the data is kept.

    Flash queues and CSRF token live under the same keys as in Pyramid's own cookie session. A
    subclass says what `save` and the others do, in the method of that name with a `_` in front.
    """

    _changing = _ending = False

    def flash(self, msg: Any, queue: str = "", allow_duplicate: bool = True) -> None:
        """Add `msg` to a queue of messages.

        Without `allow_duplicate`, not a second time: two messages are equal if their JSON texts
        are, since they may have been stored in between. Raises `PayloadError` where it has to
        compare what is no JSON.
        """
        key = FLASH_PREFIX + queue
        messages = self.setdefault(key, [])
        if not allow_duplicate:
            text = self._text({key: msg})
            if any(text == self._text({key: other}) for other in messages):
                return
        messages.append(msg)

    def pop_flash(self, queue: str = "") -> list[Any]:
        """Take all messages out of a queue, and return them, the oldest first."""
        messages: list[Any] = self.pop(FLASH_PREFIX + queue, [])
        return messages

    def peek_flash(self, queue: str = "") -> list[Any]:
        """Return the messages of a queue, the oldest first, and leave them in it."""
        messages: list[Any] = self.get(FLASH_PREFIX + queue, [])
        return messages

    def new_csrf_token(self) -> str:
        """Give the session a new CSRF token, and return it: forms with the old one are refused."""
        token = self[CSRF_KEY] = secrets.token_hex(20)
        return token

    def get_csrf_token(self) -> str:
        """Return the CSRF token, a new one if the session has none."""
        token: str | None = self.get(CSRF_KEY)
        return token or self.new_csrf_token()

    def invalidate(self) -> None:
        """End the session; what is put in from now on is another one, with another id.

        Inside the change of `transact` it takes effect once that has succeeded.
        """
        if self._changing:
            self._ending = True
            self.clear()
        else:
            self._invalidate()

    def regenerate(self) -> None:
        """Give the session a new token and a new CSRF token, and keep the data and the id.

        The old token is dead at once; a signed cookie has none, and an earlier copy of it goes on
        opening the session. Call it whenever privileges change, at login above all (ASVS 7.2.4).
        """
        self._refuse_in_a_change("regenerate()")
        self._regenerate()
        if self.pop(CSRF_KEY, None):
            self.get_csrf_token()  # a new one

    @property
    def owner(self) -> str | None:
        """Whose session it is, in the app's own words, such as "user:42"; None for nobody's.

        Of at most 200 characters. Set it with `login`, which also gives a new token.
        """
        return self._own().owner

    @owner.setter
    def owner(self, owner: str | None) -> None:
        self._set_own("owner", owner=checked_owner(owner))

    @property
    def label(self) -> str | None:
        """What the owner may know it by, such as "Firefox on Debian": at most 200 characters."""
        return self._own().label

    @label.setter
    def label(self, label: str | None) -> None:
        self._set_own("label", label=checked_label(label))

    def set_lifetime(
        self,
        *,
        timeout: int | None = UNSET,
        lifetime: int | None = UNSET,
        persistent: bool = UNSET,
    ) -> None:
        """Give the session time-outs of its own ("remember me"); what is not given stays.

        `timeout`: seconds from the last use to its idle end. `lifetime`: seconds from its creation
        to its absolute end, at most `session.max_lifetime`. None is "no such end". `persistent`:
        whether the browser keeps the cookie when it is closed; with an absolute end until that.
        Raises TypeError, ValueError, and `HeadersSentError` once the headers of the response have
        left.
        """
        kept = checked_lifetime(timeout, lifetime, persistent, self._max_lifetime())
        self._set_own("set_lifetime()", **kept)

    @property
    def has_own_lifetime(self) -> bool:
        """Whether `set_lifetime` has set anything."""
        own = self._own()
        return own.timeout is not None or own.lifetime is not None or own.persistent is not None

    def lifetime_from_now(self, seconds: int) -> int:
        """Return the `lifetime` that lasts for `seconds` from now on, or for as long as it may.

        Raises TypeError, ValueError.
        """
        limit = self._max_lifetime()
        total = self._age() + checked_seconds("lifetime", seconds, limit)
        return total if limit is None else min(total, limit)

    def touch(self) -> None:
        """Push the idle time-out back with this request, even if that is not due yet."""
        self._refuse_in_a_change("touch()")
        self._touch()

    def reload(self) -> None:
        """Drop the changes that are not stored, and take the newest data: of the store, or of the
        cookie that the request came with.

        Raises `SessionEndedError`, `StoreError`.
        """
        self._refuse_in_a_change("reload()")
        self._reload()

    def save(self) -> None:
        """Store what has changed, now, and never twice.

        A cookie can't leave before its response: there it is only checked that the data fits in.
        Raises `PayloadError` for what JSON or the size allowed can't hold, `HeadersSentError` for
        what needs a cookie once the headers of the response have left, and `StoreError`: the
        session is spent then, since it is unknown what has reached the store.
        """
        self._refuse_in_a_change("save()")
        self._save()

    def transact(self, change: Callable[[Self], T]) -> T:
        """Call `change(session)` on the newest data, alone, and store what it leaves.

        For what can't be merged: a counter, a stock. It runs under the row's lock; what was
        pending in the session is merged in first and stored with it. `change` may be called
        again, so it should do nothing but change the session. A cookie has no newer data and no
        lock: of two parallel requests one is lost there. Returns what `change` returns; what it
        raises leaves the session as it was. Raises `SessionEndedError`, `PayloadError`,
        `StoreError`, and RuntimeError for a `transact`, `save`, `reload`, `touch` or `regenerate`
        inside `change`, which would wait for the lock that `change` holds.
        """
        self._refuse_in_a_change("transact()")

        def apply(session: Self) -> T:
            self._ending = False
            return change(session)

        self._changing = True
        try:
            result = self._transact(apply)
        finally:
            self._changing = False
        if self._ending:
            self._ending, left = False, dict(self)
            self._invalidate()
            self.update(left)
        return result

    def _set_own(self, what: str, **values: Any) -> None:
        self._refuse_in_a_change(what)
        self._change_own(values)

    def _refuse_in_a_change(self, what: str) -> None:
        if self._changing:
            raise RuntimeError(
                f"session.{what} inside the change of session.transact(): call it before or "
                "after transact()"
            )

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        """Make a plain dict of a copy, shallow or deep, and of a pickle."""
        return dict, (dict(self),)

    @abstractmethod
    def _text(self, data: Mapping[str, Any]) -> str:
        """Return `data` as it would be stored. Raises `PayloadError`."""

    @abstractmethod
    def _own(self) -> Own:
        """Return what the session has of its own, changes that are not stored included."""

    @abstractmethod
    def _change_own(self, values: Mapping[str, Any]) -> None:
        """Have the next save store these fields of `Own`."""

    @abstractmethod
    def _max_lifetime(self) -> int | None:
        """Return how many seconds `lifetime` may be; None for no limit."""

    @abstractmethod
    def _age(self) -> int:
        """Return how many seconds ago the session began."""

    @abstractmethod
    def _invalidate(self) -> None: ...

    @abstractmethod
    def _regenerate(self) -> None: ...

    @abstractmethod
    def _touch(self) -> None: ...

    @abstractmethod
    def _reload(self) -> None: ...

    @abstractmethod
    def _save(self) -> None: ...

    @abstractmethod
    def _transact(self, change: Callable[[Self], T]) -> T: ...
