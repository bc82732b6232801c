"""An app with the login and the logout of the documents, and a browser that loses answers."""

from typing import Any

from pyramid.config import Configurator
from pyramid.csrf import get_csrf_token
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.router import Router
from webtest import TestApp, TestResponse

from tests.docs.blocks import take_one

HEADING = "What the cookie factory makes of them"
VIEWS = take_one("coming-from-express.md", HEADING, "python")


def documented() -> dict[str, Any]:
    """The views of docs/coming-from-express.md, as they stand there."""
    names: dict[str, Any] = {"HTTPSeeOther": HTTPSeeOther}
    exec(VIEWS, names)
    return names


def form(request: Request) -> dict[str, Any]:
    """Who is logged in, and the token of the page's form."""
    token = get_csrf_token(request) if "page" in request.GET else None
    return {"user": request.session.owner, "token": token}


def read(request: Request) -> dict[str, Any]:
    return {"data": dict(request.session), "id": request.session.id}


def note(request: Request) -> Response:
    request.session.setdefault("notes", []).append(request.params["text"])
    return Response()


def add_views(config: Configurator) -> None:
    config.set_default_csrf_options(require_csrf=True)
    config.add_route("form", "/")
    config.add_view(form, route_name="form", renderer="json")
    config.add_route("read", "/read")
    config.add_view(read, route_name="read", renderer="json")
    for name, view in (*documented().items(), ("note", note)):
        if name in ("login", "logout", "note"):
            config.add_route(name, f"/{name}")
            config.add_view(view, route_name=name)


def accounts(factory: Any, policy: Any = None) -> Router:
    """The app on `factory`; `policy` keeps the CSRF tokens, by default Pyramid's own."""
    with Configurator(session_factory=factory) as config:
        config.include("sessionsite.sessions")
        if policy is not None:
            config.set_csrf_storage_policy(policy)
        add_views(config)
    return config.make_wsgi_app()


class Browser:
    """One cookie and one page; it takes an answer, or loses it."""

    def __init__(self, app: Router, cookie: str = "", token: str = "") -> None:
        self.app = app
        self.cookie = cookie
        self.token = token

    def copy(self) -> "Browser":
        """The browser as it is now, for a click before the answer of another."""
        return Browser(self.app, self.cookie, self.token)

    def _send(self, method: str, path: str, lost: bool, **form: str) -> TestResponse:
        client = TestApp(self.app, extra_environ={"wsgi.url_scheme": "https"})
        headers = {"Cookie": self.cookie, "Origin": "https://localhost"}
        if method == "POST":
            answer = client.post(path, form, headers=headers, status="*")
        else:
            answer = client.get(path, form, headers=headers, status="*")
        if not lost:
            self.take(answer)
        return answer

    def take(self, answer: TestResponse) -> None:
        for header in answer.headers.getall("Set-Cookie"):
            self.cookie = header.partition(";")[0] if "Max-Age=0" not in header else ""

    def show(self) -> None:
        """Fetch the page anew, with its form."""
        self.token = self._send("GET", "/", False, page="form").json["token"]

    def user(self) -> Any:
        return self._send("GET", "/", False).json["user"]

    def data(self) -> Any:
        return self._send("GET", "/read", False).json["data"]

    def post(self, path: str, *, lost: bool = False, **form: str) -> TestResponse:
        """Send the form that the page shows."""
        return self._send("POST", path, lost, csrf_token=self.token, **form)
