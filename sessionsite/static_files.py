"""Static files under names that hold a hash of their content, so that caches keep them for good.

Pyramid's own cache busters don't do, since its static view has one `max-age` for every answer:
during a rolling upgrade `QueryStringConstantCacheBuster` would have an old process's file cached
for good under the new version's name, and `ManifestCacheBuster` has no file for that name at all.
"""

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
FOR_NOW = 60  # seconds


def includeme(config: Configurator) -> None:
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:10]
        for path in FOLDER.iterdir()
        if path.is_file()
    }

    def hashed_name(request: Request, subpath: str, kw: dict[str, Any]) -> tuple[str, Any]:
        stem, _, ending = subpath.rpartition(".")
        return f"{stem}.{digests[subpath]}.{ending}", kw

    def hashed_file(request: Request) -> Response:
        name = "{stem}.{ending}".format(**request.matchdict)
        if name not in digests:
            raise HTTPNotFound
        response = FileResponse(FOLDER / name, request=request)
        # Another version's name gets this version's file, but no cache may keep it for good.
        is_current = request.matchdict["digest"] == digests[name]
        response.cache_control = (
            f"public, max-age={FOR_GOOD}, immutable" if is_current else f"max-age={FOR_NOW}"
        )
        return response

    config.add_route("hashed_file", r"/static/{stem}.{digest:[0-9a-f]{10}}.{ending}")
    config.add_view(hashed_file, route_name="hashed_file", request_method="GET")
    config.add_static_view("static", "sessionsite:static", cache_max_age=FOR_NOW)
    config.add_cache_buster("sessionsite:static", hashed_name)
