"""An app of this folder on granian, as production.ini sets it up: PORT THREADS APP."""

import importlib
import sys

from sessionsite.servers.granian import server_factory

if __name__ == "__main__":
    port, threads, app = sys.argv[1:]
    serve = server_factory(
        {},
        listen=f"127.0.0.1:{port}",
        threads=threads,
        trusted_proxy="127.0.0.1",
        trusted_proxy_count="1",
        trusted_proxy_headers="x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port",
    )
    serve(importlib.import_module(f"benchmarks.peers.{app}").app)
