"""What a server does to the app's process that sessions can't bear, told at the first request."""

import importlib
import logging
import threading
from contextlib import suppress

log = logging.getLogger(__name__)

_GET_IDENT = threading.get_ident


def warn_of_hosting() -> None:
    """Log what is wrong with how the app is served, as far as the process can tell."""
    # The store knows the thread of each transaction: greenlets that share one would share those.
    if threading.get_ident is not _GET_IDENT:
        log.error(
            "Sessions: Python was patched after the app was loaded (gevent, eventlet), so that "
            "requests fail, and get into each other's transactions: patch it before; for "
            "gunicorn --preload in gunicorn.conf.py"
        )
    with suppress(ImportError):  # there is such a module inside of uWSGI alone
        if not getattr(importlib.import_module("uwsgi"), "has_threads", True):
            log.warning(
                "Sessions: uWSGI runs no threads of Python, so that nothing prunes expired "
                "sessions here: give it enable-threads = true"
            )
