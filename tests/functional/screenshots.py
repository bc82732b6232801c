"""The picture of the README.

python -m tests.functional.screenshots
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import ROOT
from tests.harness import Missing, can_bind, free_port
from tests.harness.chromium import start_chromium
from tests.harness.production import production_site

PICTURE = ROOT / "docs" / "screenshot.png"
PORT = 8443  # it shows in the picture
WALK = ("/", "/about", "/contact", "/about?from=contact", "/contact", "/")


def main() -> int:
    """Return the exit status."""
    port = PORT if can_bind(PORT) else free_port()
    with TemporaryDirectory() as name:
        directory = Path(name)
        database = f"sqlite:///{directory}/sessions.db"
        try:
            with production_site(directory, database, port) as url, start_chromium() as browser:
                page = browser.new_page(
                    viewport={"width": 1200, "height": 800},
                    color_scheme="light",
                    ignore_https_errors=True,
                )
                for path in WALK:
                    page.goto(f"{url}{path}")
                page.locator("summary").click()
                page.screenshot(path=PICTURE, full_page=True)
        except Missing as missing:
            sys.stderr.write(f"{missing}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
