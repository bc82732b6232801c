"""Django with its `db` sessions, for `python -m waitress benchmarks.peers.django_site:app`."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import path, re_path

from benchmarks.peers.races import ACTIONS, Races
from benchmarks.peers.visit import PATHS, TIMEOUT, TITLES, visit

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


def page(name: str) -> Callable[[HttpRequest], HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        context = visit(request.session, request.build_absolute_uri(), TITLES[name])
        return render(request, f"{name}.html", context)

    return view


races = Races(
    touch=lambda session: setattr(session, "modified", True),
    rotate=lambda session: session.cycle_key(),
    end=lambda session: session.flush(),
)


def race(request: HttpRequest, action: str, value: str) -> HttpResponse:
    work = request.GET.get("work", "0")
    data, request.loaded = races.act(action, value, request.session, work)
    if action == "login":
        return HttpResponseRedirect("/me", status=303)
    return JsonResponse(data, headers={"X-Loaded": str(request.loaded)})


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What sessions answer that are gone when they are to be saved: it says when it was read."""
    return HttpResponse(status=400, headers={"X-Loaded": str(getattr(request, "loaded", 0))})


urlpatterns = [
    *[path(PATHS[name].lstrip("/"), page(name), name=name) for name in PATHS],
    re_path(rf"^(?P<action>{ACTIONS})/?(?P<value>.*)$", race),
]
app = WSGIHandler()

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
