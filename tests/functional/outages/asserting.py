"""What visitors see while the database is away."""

from tests.harness.production import Answer, Browser


def assert_unavailable(answer: Answer) -> None:
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "Set-Cookie" not in answer.headers
    assert "<h1>Sessions - Unavailable</h1>" in answer.text
    assert '<a href="/about">About</a>' in answer.text
    assert "Traceback" not in answer.text


def assert_the_rest_answers(browser: Browser) -> None:
    assert browser.get("/static/site.css").status == 200
    assert browser.get("/favicon.ico").status == 200
    missing = browser.get("/missing")
    assert missing.status == 404
    assert "<h1>Sessions - Not found</h1>" in missing.text
