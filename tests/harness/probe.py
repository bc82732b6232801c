"""An app that tells what reached it, behind each server as production.ini sets it up."""

from pathlib import Path

from tests.harness import free_port
from tests.harness.pserve import Pserve, Section, start_pserve, worker_args

APP = """
import json
import os
from webob import Request, Response

posts = []

def main(global_config, **settings):
    def app(environ, start_response):
        request = Request(environ)
        if request.method == "POST":
            posts.append(request.body)
        response = Response(json.dumps({
            "url": request.url,
            "host_url": request.host_url,
            "client": request.client_addr,
            "headers": dict(request.headers),
            "environment": sorted(os.environ),
            "environ": sorted(environ),
            "path": request.path_info,
            "protocol": environ["SERVER_PROTOCOL"],
            "posted": request.body.decode("latin-1"),
            "posts": len(posts),
            "body": "x" * int(request.params.get("body", 0)),
        }))
        response.headers["X-Session"] = "x" * int(request.params.get("header", 0))
        return response(environ, start_response)
    return app
"""
SERVER = """
[server:{}]
use = egg:sessionsite#{}
listen = 127.0.0.1:%(http_port)s
trusted_proxy = 127.0.0.1
trusted_proxy_headers = x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port
clear_untrusted_proxy_headers = true
stop_timeout = 5
max_request_body_size = 16384
max_request_header_size = 65536
"""
INI = f"""
[app:main]
paste.app_factory = probe:main
{SERVER.format(Section.WAITRESS, "waitress")}{SERVER.format(Section.GRANIAN, "granian")}"""


def write_probe(directory: Path) -> Path:
    """The app's .ini file, in that directory."""
    (directory / "probe.py").write_text(APP)
    config = directory / "probe.ini"
    config.write_text(INI)
    return config


def serve(config: Path, section: str | None = None, **env: str) -> Pserve:
    args = worker_args(free_port(), section)
    env = {"PYTHONPATH": str(config.parent), **env}
    return start_pserve(config, env=env, args=args, directory=config.parent)
