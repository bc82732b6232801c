"""One process that serves on granian.

granian's worker is no public API: setup.py takes versions that the tests have run on.
"""

import asyncio
import atexit
import logging
import os
import socket
import sys
import threading
import time
from typing import Any, Final, NoReturn

from granian._futures import _new_cbscheduler
from granian._granian import SocketHolder, WorkerSignal, WSGIWorker
from granian.http import HTTP1Settings
from waitress.adjustments import Adjustments
from waitress.proxy_headers import proxy_headers_middleware

from .draining import QUIET, TURN
from .front import Front
from .granian_settings import GranianSettings
from .stopping import StopSignals

log = logging.getLogger(__name__)

RUNTIME_THREADS: Final = 1  # of Rust; they read and write, and hold no lock of Python's


def serve_process(
    app: Any,
    listening: socket.socket,
    settings: GranianSettings,
    shared: Adjustments,
    stop: StopSignals,
) -> None:
    """Serve `app` at the socket until a signal comes, and finish what has begun.

    Call it in the main thread.
    """
    front = Front(
        proxy_headers_middleware(
            app,
            trusted_proxy=shared.trusted_proxy,
            trusted_proxy_count=shared.trusted_proxy_count,
            trusted_proxy_headers=shared.trusted_proxy_headers,
            clear_untrusted=shared.clear_untrusted_proxy_headers,
            log_untrusted=shared.log_untrusted_proxy_headers,
        ),
        max_body=settings.max_request_body_size,
        max_header=settings.max_request_header_size,
        url_prefix=shared.url_prefix,
        multiprocess=settings.workers > 1,
    )
    stop.attend()
    granian = WorkerSignal()
    ended = threading.Event()
    granian.add_cb(ended.set)
    loop = asyncio.new_event_loop()
    worker = _worker(listening, settings, shared.backlog)
    worker.serve_mtr(_new_cbscheduler(loop, front, impl_asyncio=True), loop, granian)
    while stop.received is None:
        stop.wait()

    log.info("%s: finishing the requests that have begun", stop.received.name)
    deadline = time.monotonic() + settings.stop_timeout
    # granian closes an idle connection at once, although a request may be on its way, and drops the
    # connections that the kernel has accepted. So go on for a moment, and have clients hang up.
    front.draining = True
    time.sleep(min(QUIET, settings.stop_timeout))
    granian.set()
    ended.wait(max(deadline - time.monotonic(), 0))
    # A request goes on, and is saved, after its client has left.
    while front.running and time.monotonic() < deadline:
        time.sleep(TURN)
    if front.running or not ended.is_set():
        left = max(len(front.running), 1)
        log.warning(
            "%d connections cut off: stop_timeout = %d is over", left, settings.stop_timeout
        )
        _end()


def _end() -> NoReturn:
    """End the process in good order, but for its threads.

    When Python ends, and a thread of Rust's comes back to it, Rust aborts the process.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(atexit._run_exitfuncs() or 0)  # type: ignore[func-returns-value]


def _worker(listening: socket.socket, settings: GranianSettings, backlog: int) -> Any:
    with_backlog = sys.platform.startswith(("linux", "freebsd"))
    holder = SocketHolder(listening.detach(), False, *([backlog] if with_backlog else []))
    http = HTTP1Settings(
        header_read_timeout=settings.channel_timeout * 1000,
        max_buffer_size=settings.max_request_header_size,
    )
    return WSGIWorker(
        1,  # its number
        (None, holder),
        None,  # no pipe for metrics
        RUNTIME_THREADS,
        512,  # of Rust, at most, each of which waits for one body
        settings.threads,
        600,  # seconds until an idle thread ends: the most that granian takes
        settings.connection_limit,
        "1",  # HTTP/1.1 alone
        http,
        None,
        None,  # no static files
        *(False, None, None, None, "tls1.3", None, [], False),  # no TLS
        (None, None),  # no metrics
    )
