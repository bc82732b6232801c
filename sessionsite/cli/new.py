"""The command that lays out the two .ini files, for a site without a checkout."""

import os
import shlex
from pathlib import Path

import click

from .group import commands

NAMES = ("development.ini", "production.ini")
_PACKAGE = Path(__file__).parents[1]
# The wheel has the files in the package (setup.py puts them there); a checkout, beside it.
_PLACES = (_PACKAGE / "ini", _PACKAGE.parent)


@commands.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def new(directory: Path) -> None:
    """Lay out development.ini and production.ini in DIRECTORY.

    It makes the directory where it is missing, and never overwrites a file.
    """
    for character in "%\\":
        if character in str(directory.absolute()):
            raise click.ClickException(
                f"{directory.absolute()}: PasteDeploy reads no file in such a path, choose one "
                f"without {character}"
            )
    source = next(place for place in _PLACES if (place / NAMES[0]).exists())
    texts = {directory / name: (source / name).read_bytes() for name in NAMES}
    for path in texts:
        if os.path.lexists(path):
            raise click.ClickException(f"{path} exists: nothing was written")
    directory.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        with path.open("xb") as file:
            file.write(text)
        click.echo(f"{path}: written")
    target = os.path.join(".", directory) if str(directory).startswith("-") else str(directory)
    click.echo(f"""
For development, on http://localhost:6543:
    cd {shlex.quote(target)}
    pserve development.ini

For production, with DATABASE_URL, SESSION_SECRET and SITE_HOSTS set, as production.ini says:
    sessionsite init-db production.ini
    pserve production.ini""")
