"""`use = egg:sessionsite#waitress`: waitress, with its own keys, and a stop that loses nothing.

waitress stops on SIGINT alone, and drops the answers in its buffers; SIGTERM cuts all requests off.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from waitress import create_server, wasyncore
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer

from ..refusal import print_refusals, refusals_in_one_line
from ..sessions import ConfigurationError, expand_environment
from ..sessions.ini import SettingsReader, key, whole
from .draining import Channel, drain
from .stopping import StopSignals

log = logging.getLogger(__name__)

Serve = Callable[[Any], None]

_MAY_BE_0: Final = {
    "channel_request_lookahead",
    "inbuf_overflow",
    "max_request_body_size",
    "outbuf_high_watermark",
    "outbuf_overflow",
    "port",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSettings:
    stop_timeout: int = key(
        whole("seconds", minimum=0),
        "How long the requests that have begun may take when the server is to stop. What then is "
        "still under way is cut off.",
        default=10,
    )


@refusals_in_one_line()
def server_factory(global_config: Mapping[str, str], **settings: str) -> Serve:
    """Return what serves an app until SIGTERM or SIGINT: `[server:...]` in an .ini file.

    Call it in the main thread: it handles the signals from then on, while the app is being made.
    Raises `ConfigurationError`.
    """
    print_refusals()  # of the app, too
    stop = StopSignals()
    expanded = expand_environment(settings)
    ours, theirs = _read(expanded)

    @refusals_in_one_line()
    def serve(app: Any) -> None:
        _serve(app, theirs, ours.stop_timeout, stop)

    return serve


def _read(settings: Mapping[str, str]) -> tuple[StopSettings, dict[str, str]]:
    theirs = {name: value for name, value in settings.items() if hasattr(Adjustments, name)}
    read = SettingsReader({k: v for k, v in settings.items() if k not in theirs}, "")
    ours = StopSettings(**read.keys(StopSettings))
    read.finish(known=vars(Adjustments))
    read_adjustments(theirs)
    return ours, theirs


def read_adjustments(settings: Mapping[str, str]) -> Adjustments:
    """Read keys of waitress's. Raises `ConfigurationError`."""
    try:
        adjustments = Adjustments(**settings)
    except ValueError as exc:
        raise ConfigurationError(_why(exc, settings)) from exc
    for name, value in settings.items():
        if why := _refusal(name, value, getattr(adjustments, name)):
            raise ConfigurationError(f"{name} = {value!r}: {why}")
    return adjustments


def _refusal(name: str, value: str, read: Any) -> str | None:
    """Return why a value that waitress takes is refused: it would start, and serve nobody."""
    least = int(name not in _MAY_BE_0)
    if type(read) is int and read < least:
        return f"give a whole number (at least {least})"
    if name == "url_scheme" and read not in ("http", "https"):
        return "give http or https"
    if name in ("listen", "port"):
        ports = [each.rpartition(":")[2] for each in value.split()]
        # getaddrinfo takes 65536 for 0, and nothing for 0: any port that is free
        if not ports or not all(ports) or any(int(p) > 65535 for p in ports if p.isdecimal()):
            return "give host:port, with a port of at most 65535"
    return None


def _why(exc: ValueError, settings: Mapping[str, str]) -> str:
    """Return what waitress has said, with the key if it is one key's fault."""
    for name, value in settings.items():
        try:
            Adjustments(**{name: value})
        except ValueError as each:
            if str(each) == str(exc):
                return f"{name} = {value!r}: {exc}"
    return f"the server's section: {exc}"


def _serve(app: Any, settings: dict[str, str], stop_timeout: int, stop: StopSignals) -> None:
    connections: dict[int, Any] = {}
    try:
        waitress = create_server(app, map=connections, **settings)
    except OSError as exc:
        place = settings.get("listen") or settings.get("unix_socket") or settings.get("port", "")
        raise ConfigurationError(f"the server can't listen at {place}: {exc.strerror}") from exc
    listening = [each for each in connections.values() if isinstance(each, BaseWSGIServer)]
    for each in listening:
        each.channel_class = Channel
    stop.call(listening[0].pull_trigger)
    waitress.print_listen("Serving on http://{}:{}")
    # As wasyncore.loop, which ends by an exception alone: raised anywhere, it would cut an answer.
    poll = wasyncore.poll2 if waitress.adj.asyncore_use_poll else wasyncore.poll
    while stop.received is None:
        poll(waitress.adj.asyncore_loop_timeout, connections)

    log.info("%s: finishing the requests that have begun", stop.received.name)
    deadline = time.monotonic() + stop_timeout
    left = drain(connections, deadline)
    if left:
        log.warning("%d connections cut off: stop_timeout = %d is over", left, stop_timeout)
    # A request goes on, and is saved, after its client has left.
    waitress.task_dispatcher.shutdown(timeout=max(deadline - time.monotonic(), 0))
    wasyncore.close_all(connections)
