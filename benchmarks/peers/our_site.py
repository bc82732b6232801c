"""Our site as production.ini describes it, with the pages of the races added."""

from pyramid.config import Configurator
from pyramid.paster import get_app

from benchmarks import PRODUCTION

app = get_app(PRODUCTION)
config = Configurator(registry=app.registry)
config.include("benchmarks.peers.pyramid_races")
config.commit()
