"""Static files under names that hold a hash of their content, so that caches keep them for good."""

import hashlib
from pathlib import Path
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound
from pyramid.path import AssetResolver
from pyramid.request import Request
from pyramid.response import FileResponse, Response

FOLDER = Path(AssetResolver().resolve("sessionsite:static").abspath())
FOR_GOOD = 31536000  # seconds: a year, the most that RFC 9111's predecessors allowed
FOR_NOW = 60


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]


class ContentHash:
    """A cache buster (Pyramid's `ICacheBuster`): `site.css` becomes `site.1f3a….css`."""

    def __init__(self, folder: Path) -> None:
        self._digests = {path.name: digest(path) for path in folder.iterdir() if path.is_file()}

    def __call__(self, request: Request, subpath: str, kw: dict[str, Any]) -> tuple[str, Any]:
        stem, _, ending = subpath.rpartition(".")
        return f"{stem}.{self._digests[subpath]}.{ending}", kw

    def current(self, name: str) -> str | None:
        """The digest of the file `name`; None if there is no such file."""
        return self._digests.get(name)


def includeme(config: Configurator) -> None:
    hashes = ContentHash(FOLDER)

    def hashed_file(request: Request) -> Response:
        name = "{stem}.{ending}".format(**request.matchdict)
        current = hashes.current(name)
        if current is None:
            raise HTTPNotFound
        # While processes are being upgraded, one may be asked for a file of the other's version.
        # It gets what there is, but must not take it for good.
        up_to_date = request.matchdict["digest"] == current
        response = FileResponse(FOLDER / name, request=request)
        response.cache_control = (
            f"public, max-age={FOR_GOOD}, immutable" if up_to_date else f"max-age={FOR_NOW}"
        )
        return response

    config.add_route("hashed_file", r"/static/{stem}.{digest:[0-9a-f]{10}}.{ending}")
    config.add_view(hashed_file, route_name="hashed_file", request_method="GET")
    config.add_static_view("static", "sessionsite:static", cache_max_age=FOR_NOW)
    config.add_cache_buster("sessionsite:static", hashes)
