"""Forks: a child process must not use its parent's connections and locks.

A class that keeps such things derives from `Forked`, and calls `watch`. Python reports its own
forks alone. A server in C, such as uWSGI, forks without Python's knowledge: `notice` compares the
process id.
"""

import ctypes
import logging
import os
from collections.abc import Callable
from threading import Lock
from weakref import WeakValueDictionary

log = logging.getLogger(__name__)

pid = os.getpid()
"""This process's id, as `notice` last found it."""


class Forked:
    """Something that a child process must not use as its parent left it."""

    def before_fork(self) -> None:
        """Called in the parent, by the thread that is about to fork."""

    def after_fork_in_parent(self) -> None:
        """Called by the same thread, even if the fork has failed."""

    def after_fork_in_child(self) -> None:
        """Called in the child, whose only thread is a copy of the one that has forked.

        A lock may be held by a thread that the child does not have, so make new locks.
        """


_watched: WeakValueDictionary[int, Forked] = WeakValueDictionary()  # by `id`, oldest first
_noticing: dict[int, Lock] = {}  # by process id, since the parent's lock may stay taken for ever


def watch(thing: Forked) -> None:
    """Call the methods of `thing` at each fork, for as long as `thing` lives."""
    _watched[id(thing)] = thing


def notice() -> None:
    """Call `after_fork_in_child` if this process is a child, and Python has not been told."""
    now = os.getpid()
    if now == pid:
        return
    with _noticing.setdefault(now, Lock()):
        if now != pid:
            _in_child()


def keep_for_ever(thing: object) -> None:
    """Keep `thing` until the process ends, so that its destructor never runs."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _each(method: Callable[[Forked], None]) -> None:
    for reference in _watched.valuerefs():
        thing = reference()
        try:
            if thing is not None:
                method(thing)
        except Exception:  # the others have to be called all the same
            log.exception("%r failed at a fork", thing)


def _before() -> None:
    _each(lambda thing: thing.before_fork())


def _in_parent() -> None:
    _each(lambda thing: thing.after_fork_in_parent())


def _in_child() -> None:
    global pid
    _each(lambda thing: thing.after_fork_in_child())
    pid = os.getpid()


# Windows has no fork.
_register: Callable[..., None] = getattr(os, "register_at_fork", lambda **_: None)
_register(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
