"""Production settings, and no more than the pages need."""

import os
from pathlib import Path

from visit import TIMEOUT

_HOST, _PORT, _NAME = os.environ["PGHOST"], os.environ["PGPORT"], os.environ["PGDATABASE"]

DEBUG = False
SECRET_KEY = os.environ["SESSION_SECRET"]
ALLOWED_HOSTS = ["bench.example"]
ROOT_URLCONF = "django_site.urls"
INSTALLED_APPS = ["django.contrib.sessions"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
SESSION_COOKIE_AGE = TIMEOUT
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = True
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _HOST,
        "PORT": _PORT,
        "NAME": _NAME,
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"],
        "CONN_MAX_AGE": None,  # kept open; Django's default would connect for each request
    }
}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
    }
]
