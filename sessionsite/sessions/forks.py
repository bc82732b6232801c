"""Forks: what a process made before a fork is not its child's to use.

Who keeps such a thing derives from `Forked` and calls `watch`. Python tells of its own forks alone;
a server in C that forks, such as uWSGI, tells nobody, and `notice` finds out by the process id.
"""

import ctypes
import logging
import os
from collections.abc import Callable
from threading import Lock
from weakref import WeakValueDictionary

log = logging.getLogger(__name__)

pid = os.getpid()
"""This process's id, as of the last `notice`."""


class Forked:
    """Something that no fork may carry over as it is."""

    def before_fork(self) -> None:
        """Called in the parent, by the thread that is about to fork."""

    def after_fork_in_parent(self) -> None:
        """Called by the same thread, also where the fork has failed."""

    def after_fork_in_child(self) -> None:
        """Called in the child, whose only thread is a copy of the one that has forked.

        A lock may be held by a thread that the child does not have: make another one.
        """


_watched: WeakValueDictionary[int, Forked] = WeakValueDictionary()  # by their ids, oldest first
_noticing: dict[int, Lock] = {}  # by process id: a lock of the parent's may be taken for ever


def watch(thing: Forked) -> None:
    """Tell `thing` of each fork, for as long as it lives."""
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
    """Have `thing` outlive the interpreter, so that no destructor ever runs."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _each(method: Callable[[Forked], None]) -> None:
    for reference in _watched.valuerefs():
        thing = reference()
        try:
            if thing is not None:
                method(thing)
        except Exception:  # the others must be told all the same
            log.exception("A fork is not seen to by %r", thing)


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
