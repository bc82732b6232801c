"""Django with its `db` sessions, for `python -m waitress benchmarks.peers.django_site:app`."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import path

from benchmarks.peers.visit import PATHS, TIMEOUT, TITLES, visit

View = Callable[..., HttpResponse]
url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY=os.environ["SESSION_SECRET"],
    ALLOWED_HOSTS=["bench.example"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.sessions"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_COOKIE_AGE=TIMEOUT,
    SESSION_COOKIE_HTTPONLY=True,
    SESSION_COOKIE_SAMESITE="Lax",
    SESSION_COOKIE_SECURE=True,
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": url.hostname,
            "PORT": url.port,
            "NAME": url.path.lstrip("/"),
            "USER": url.username,
            "PASSWORD": url.password,
            "CONN_MAX_AGE": None,  # kept open; Django's default would connect for each request
        }
    },
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [Path(__file__).parent / "templates"],
        }
    ],
)
django.setup()


def page(name: str) -> View:
    def view(request: HttpRequest) -> HttpResponse:
        context = visit(request.session, request.build_absolute_uri(), TITLES[name])
        return render(request, f"{name}.html", context)

    return view


def worked(change: Callable[..., None], *, before: bool = False) -> View:
    """A view that reads the session, works for ?work= milliseconds, and changes it then."""

    def view(request: HttpRequest, **given: Any) -> HttpResponse:
        data = dict(request.session.items())
        request.loaded = time.time()
        if before:
            change(request, **given)
        time.sleep(float(request.GET.get("work", 0)) / 1000)
        if not before:
            change(request, **given)
        return JsonResponse(data, headers={"X-Loaded": str(request.loaded)})

    return view


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What sessions answer that are gone when they are to be saved: it says when it was read."""
    return HttpResponse(status=400, headers={"X-Loaded": str(getattr(request, "loaded", 0))})


def nothing(request: HttpRequest) -> None:
    pass


def set_key(request: HttpRequest, key: str) -> None:
    request.session[key] = "x"


def add_visit(request: HttpRequest, number: int) -> None:
    request.session["history"] = [request.path, *request.session.get("history", [])]


def touch(request: HttpRequest) -> None:
    request.session.modified = True


def rotate(request: HttpRequest) -> HttpResponse:
    request.session.cycle_key()
    return JsonResponse({})


def login(request: HttpRequest, user: str) -> HttpResponse:
    request.session.cycle_key()
    request.session["user"] = user
    return HttpResponseRedirect("/me", status=303)


def logout(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return JsonResponse({})


urlpatterns = [
    *[path(PATHS[name].lstrip("/"), page(name), name=name) for name in PATHS],
    path("me", worked(nothing)),
    path("set/<key>", worked(set_key)),
    path("visit/<int:number>", worked(add_visit, before=True)),
    path("touch", worked(touch)),
    path("rotate", rotate),
    path("login/<user>", login),
    path("logout", logout),
]
app = WSGIHandler()

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
