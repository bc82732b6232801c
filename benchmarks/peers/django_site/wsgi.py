"""The WSGI app."""

import logging
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.peers.django_site.settings")
logging.getLogger("waitress.queue").setLevel("ERROR")  # as production.ini does
app = get_wsgi_application()
