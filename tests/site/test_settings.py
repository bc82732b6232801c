"""The site's settings: typed and strict, as the session factories' are."""

import pytest

from sessionsite import main
from sessionsite.hosts import parse_host_names
from sessionsite.settings import site_settings
from tests.harness.refusals import check_refusal


class TestSiteSettings:
    def test_the_defaults(self) -> None:
        site = site_settings({})
        assert (site.history_limit, site.history_bytes) == (20, 2400)
        assert (site.contact, site.secret_file, site.hsts) == ("", None, None)
        assert site.allowed_hosts == parse_host_names("localhost 127.0.0.1 [::1]")

    @pytest.mark.parametrize(
        ("key", "value"),
        [("history_limit", "0"), ("history_limit", "none"), ("history_bytes", "1"),
         ("history_bytes", "x"), ("hsts", "yes"), ("histroy_limit", "5")],
    )  # fmt: skip
    def test_a_wrong_one_is_refused(self, key: str, value: str) -> None:
        call = {f"sessionsite.{key}": value}
        check_refusal(lambda: site_settings(call), f"sessionsite.{key}", "")


def test_the_keys_of_metrics_are_refused_where_nothing_reads_them() -> None:
    settings = {"sessionsite.metrics.listen": "none"}
    check_refusal(lambda: main({}, **settings), "sessionsite.metrics.listen", "")
    app = main({}, **settings, **{"pyramid.includes": "sessionsite.metrics"})
    assert app.registry.site.history_limit == 20
