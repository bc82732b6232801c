"""The site with Django and its `db` sessions, for `python -m waitress django_site.wsgi:app`."""
