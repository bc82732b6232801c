"""Django with `db` sessions, in one file. `python -m` it to create the table."""

import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import path

_url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    DEBUG=False,
    SECRET_KEY=os.environ["SESSION_SECRET"],
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.sessions"],
    MIDDLEWARE=[
        f"{__name__}._say_loaded",
        "django.contrib.sessions.middleware.SessionMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.db",
    SESSION_COOKIE_AGE=12 * 60 * 60,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": _url.hostname,
            "PORT": _url.port,
            "USER": _url.username,
            "PASSWORD": _url.password,
            "NAME": _url.path.lstrip("/"),
            "CONN_MAX_AGE": 600,
        }
    },
)
django.setup()


def _say_loaded(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """Middleware, outside that of the sessions, whose 400 is to say it as well."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["X-Loaded"] = str(getattr(request, "loaded", 0))
        return response

    return middleware


def _work(request: HttpRequest) -> None:
    request.session.get("user")  # sessions are lazy: this loads it
    request.loaded = time.time()
    time.sleep(float(request.GET.get("work", 0)) / 1000)


def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({})


def me(request: HttpRequest) -> HttpResponse:
    data = dict(request.session.items())
    _work(request)
    return JsonResponse(data)


def set_key(request: HttpRequest, key: str) -> HttpResponse:
    _work(request)
    request.session[key] = "x"
    return JsonResponse({})


def visit(request: HttpRequest, number: int) -> HttpResponse:
    request.session["history"] = [request.path, *request.session.get("history", [])]
    _work(request)
    return JsonResponse({})


def touch(request: HttpRequest) -> HttpResponse:
    _work(request)
    request.session.modified = True
    return JsonResponse({})


def rotate(request: HttpRequest) -> HttpResponse:
    request.session.cycle_key()
    return JsonResponse({})


def login(request: HttpRequest, user: str) -> HttpResponse:
    request.session.cycle_key()
    request.session["user"] = user
    response = HttpResponseRedirect("/me")
    response.status_code = 303
    return response


def logout(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return JsonResponse({})


urlpatterns = [
    path("healthz", healthz),
    path("me", me),
    path("set/<key>", set_key),
    path("visit/<int:number>", visit),
    path("touch", touch),
    path("rotate", rotate),
    path("login/<user>", login),
    path("logout", logout),
]
application = get_wsgi_application()

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
