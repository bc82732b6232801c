"""The site as it was before sessions had owners: its code, its table and its production.ini.

Not taken from git's history, which a shallow clone and an sdist lack, but kept in a file:

    git archive --format=tar 4a4b256 sessionsite production.ini | xz -9e
"""

import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from tests.harness import free_port
from tests.harness.production import HOSTS, SECRET
from tests.harness.pserve import Pserve

ARCHIVE = Path(__file__).with_name("old_release.tar.xz")
METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: sessionsite\nVersion: 0.1\n",
    "entry_points.txt": "[paste.app_factory]\nmain = sessionsite:main\n",
}


class OldRelease:
    """An installation of it beside ours, on the libraries that ours has."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "old"
        # Debian 12's Python has no filters, and newer ones warn where none is named.
        kept: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(self.home, **kept)
        metadata = self.home / "sessionsite-0.1.dist-info"
        metadata.mkdir()
        for name, text in METADATA.items():
            (metadata / name).write_text(text, "utf-8")
        self._env = {"PYTHONPATH": str(self.home), "SESSION_SECRET": SECRET, "SITE_HOSTS": HOSTS}

    def config(self, *lines: str) -> Path:
        """Its production.ini, with these lines in [app:main]."""
        head = "[app:main]\nuse = egg:sessionsite\n"
        text = (self.home / "production.ini").read_text("utf-8")
        names = [line.partition(" =")[0] for line in lines]
        kept = [line for line in text.splitlines() if line.partition(" =")[0] not in names]
        text = "\n".join(kept).replace(head, head + "".join(f"{line}\n" for line in lines))
        path = self.home / "copy.ini"
        path.write_text(text, "utf-8")
        return path

    def init_db(self, config: Path, url: str) -> None:
        """Create its table, as it was then."""
        code = "import sys; from sessionsite.cli import main; sys.exit(main(sys.argv[1:]))"
        subprocess.run(
            [sys.executable, "-c", code, "init-db", str(config)],
            env=self._env | {"DATABASE_URL": url},
            cwd=self.home,
            check=True,
            capture_output=True,
        )

    def worker(self, config: Path, directory: Path, url: str) -> Pserve:
        """One process of it, not started yet."""
        args = ["--server-name=worker", f"http_port={free_port()}"]
        return Pserve(config, args, self._env | {"DATABASE_URL": url}, directory)
