"""The three pages."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from visit import PATHS, TITLES, visit


def page(name: str) -> Callable[[HttpRequest], HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        context = visit(request.session, request.build_absolute_uri(), TITLES[name])
        return render(request, f"{name}.html", context)

    return view


urlpatterns = [path(PATHS[name].lstrip("/"), page(name), name=name) for name in PATHS]
