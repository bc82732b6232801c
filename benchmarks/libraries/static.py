"""A style sheet under a hashed name: our view in Pyramid, Pyramid's own, and WhiteNoise."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.static import QueryStringConstantCacheBuster
from whitenoise import WhiteNoise

from benchmarks.libraries.compare import Row, compare
from sessionsite.static_files import FOLDER

ASSET = "sessionsite:static/site.css"


def by_hand() -> Any:
    with Configurator() as config:
        config.include("sessionsite.static_files")
    return config.make_wsgi_app()


def by_pyramid() -> Any:
    """With one word for all files, in the query: it has no cache buster that hashes content."""
    with Configurator() as config:
        config.add_static_view("static", "sessionsite:static", cache_max_age=31536000)
        config.add_cache_buster("sessionsite:static", QueryStringConstantCacheBuster("1"))
    return config.make_wsgi_app()


def by_whitenoise(folder: Path) -> tuple[Any, str]:
    """It serves hashed names that a build step has made: here that is this function."""
    content = (FOLDER / "site.css").read_bytes()
    name = f"site.{hashlib.sha256(content).hexdigest()[:10]}.css"
    (folder / name).write_bytes(content)

    def immutable(path: str, url: str) -> bool:
        return bool(re.search(r"\.[0-9a-f]{10}\.", url))

    def missing(environ: Any, start_response: Any) -> Any:
        raise RuntimeError(f"{environ['PATH_INFO']} is not served")

    app = WhiteNoise(missing, root=folder, prefix="static/", immutable_file_test=immutable)
    return app, f"/static/{name}"


def get(app: Any, url: str) -> Callable[[], None]:
    """Return a function that gets `url`, with the whole body."""

    def once() -> None:
        response = Request.blank(url).get_response(app)
        if response.status_int != 200 or len(response.body) < 1000:
            raise RuntimeError(f"{url}: {response.status}")

    return once


def hashed_url(app: Any) -> str:
    request = Request.blank("/")
    request.registry = app.registry
    return str(request.static_path(ASSET))


def rows(rounds: int, seconds: float) -> list[Row]:
    ours, pyramids = by_hand(), by_pyramid()
    here = get(ours, hashed_url(ours))
    piece = "a hashed style sheet served"
    with TemporaryDirectory() as directory:
        noise = get(*by_whitenoise(Path(directory)))
        there = get(pyramids, hashed_url(pyramids))
        return [
            compare(piece, "Pyramid's static view", here, there, rounds, seconds),
            compare(piece, "WhiteNoise", here, noise, rounds, seconds),
        ]
