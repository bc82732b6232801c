"""Our site as production.ini describes it, but for its store, which is in Redis."""

import os

from pyramid.config import Configurator
from pyramid.paster import get_appsettings

import sessionsite
from benchmarks import PRODUCTION

FACTORY = "sessionsite.sessions.valkey.session_factory_from_settings"
OF_SQL = ("session.sqlalchemy.", "session.sql.")

settings = {k: v for k, v in get_appsettings(PRODUCTION).items() if not k.startswith(OF_SQL)}
settings["sessionsite.session_factory"] = FACTORY
settings["session.valkey.url"] = os.environ["REDIS_URL"]
app = sessionsite.main({}, **settings)
config = Configurator(registry=app.registry)
config.include("benchmarks.peers.pyramid_races")
config.commit()
