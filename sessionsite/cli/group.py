"""What all commands share: the group that they join, and the CONFIG_URI that most of them take."""

from typing import Any

import click


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # click would turn it into the same error, but write an empty line before it.
            raise click.Abort from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sessionsite", message="%(prog)s %(version)s")
def commands() -> None:
    """Look after the sessions of a Pyramid app.

    CONFIG_URI is the app's .ini file: production.ini, for example.
    """


config_uri = click.argument("config_uri")
"""Hands a command function the .ini file's name as `config_uri`."""
