"""The three pages, and those of the races."""

import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import path

from benchmarks.peers.visit import PATHS, TITLES, visit

View = Callable[..., HttpResponse]


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
    """The answer for a session that is gone when it is to be saved; it says when it was read."""
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
