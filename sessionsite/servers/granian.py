"""`use = egg:sessionsite#granian`: granian, a WSGI server in Rust, in one process or in several.

Its own command loads an app by its dotted name, in processes that it spawns; pserve has made the
app already. So we run granian's worker ourselves, in this process or in forks of it.
"""

import logging
import socket
from collections.abc import Mapping
from typing import Any

from waitress.adjustments import Adjustments

from ..refusal import print_refusals, refusals_in_one_line
from ..sessions import ConfigurationError, expand_environment
from ..sessions.pruner import LAST_BATCH
from .granian_settings import GranianSettings, read_settings
from .prefork import fork_workers
from .stopping import StopSignals
from .waitress import Serve

try:
    from .granian_process import serve_process
except ImportError as exc:
    raise ConfigurationError(
        "egg:sessionsite#granian needs granian: pip install 'sessionsite[granian]'"
    ) from exc

log = logging.getLogger(__name__)


@refusals_in_one_line()
def server_factory(global_config: Mapping[str, str], **settings: str) -> Serve:
    """Return what serves an app until SIGTERM or SIGINT: `[server:...]` in an .ini file.

    Call it in the main thread: it handles the signals from then on, while the app is being made.
    Raises `ConfigurationError`.
    """
    print_refusals()  # of the app, too
    stop = StopSignals()
    ours, shared = read_settings(expand_environment(settings))

    @refusals_in_one_line()
    def serve(app: Any) -> None:
        _serve(app, ours, shared, stop)

    return serve


def _serve(app: Any, ours: GranianSettings, shared: Adjustments, stop: StopSignals) -> None:
    listening = _listen(shared)
    host, port = listening.getsockname()[:2]
    log.info("Serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)
    patience = ours.stop_timeout + LAST_BATCH + 2
    if ours.workers > 1 and not fork_workers(ours.workers, stop, patience, listening.close):
        return
    serve_process(app, listening, ours, shared, stop)


def _listen(shared: Adjustments) -> socket.socket:
    """Return the one socket that all processes accept from.

    granian's own, one per process, would be shared by a second pserve at the same port, too, and a
    process that died would take the connections with it that wait for it.
    """
    ((family, kind, protocol, address),) = shared.listen
    listening = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind(address)
        listening.listen(shared.backlog)
    except OSError as exc:
        listening.close()
        place = f"{address[0]}:{address[1]}"
        raise ConfigurationError(f"the server can't listen at {place}: {exc.strerror}") from exc
    return listening
