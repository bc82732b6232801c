"""The command that makes secrets."""

import secrets

import click

from .group import commands


@commands.command("generate-secret")
def generate_secret() -> None:
    """Print a new secret for SESSION_SECRET."""
    click.echo(secrets.token_urlsafe(48))
