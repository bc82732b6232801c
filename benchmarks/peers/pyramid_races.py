"""The pages of the races, for any Pyramid app to include."""

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from benchmarks.peers.races import ACTIONS, Races


def touch(session: Any) -> None:
    getattr(session, "touch", session.changed)()


def rotate(session: Any) -> None:
    if hasattr(session, "regenerate"):
        session.regenerate()
    else:
        kept = dict(session)  # pyramid_session_redis can only begin an empty one
        session.invalidate()
        session.update(kept)


def includeme(config: Configurator) -> None:
    races = Races(touch, rotate, lambda session: session.invalidate())

    def view(request: Request) -> dict[str, Any]:
        action, value = request.matchdict["action"], request.matchdict["value"].lstrip("/")
        data, loaded = races.act(action, value, request.session, request.GET.get("work", "0"))
        request.response.headers["X-Loaded"] = str(loaded)
        if action == "login":
            request.response.status_int, request.response.location = 303, "/me"
        return data

    config.add_route("races", f"/{{action:{ACTIONS}}}{{value:.*}}")
    config.add_view(view, route_name="races", renderer="json")
