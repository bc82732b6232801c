"""Django with its `db` sessions, for `python -m waitress benchmarks.peers.django_site.wsgi:app`."""
