"""A secret that each checkout makes for itself, so that no published one signs anything."""

import logging
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .sessions import ConfigurationError
from .settings import site_settings

log = logging.getLogger(__name__)

SECRET_KEY = "session.secret"  # noqa: S105  # a key's name
FILE_KEY = "sessionsite.secret_file"
MIN_LENGTH = 32


def with_secret(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return `settings` with the secret in `sessionsite.secret_file`, where they have none.

    The file is made if it is not there. Where it can be neither read nor made, as in a checkout
    that is read-only, the secret is this process's alone. Raises `ConfigurationError`.
    """
    path = site_settings(settings).secret_file
    if path is None or str(settings.get(SECRET_KEY) or "").strip():
        return dict(settings)
    try:
        secret = _read_or_make(Path(path))
    except OSError as exc:
        log.warning(
            "%s = %r can't be used (%s): this process signs with a secret of its own, and "
            "sessions end with it",
            FILE_KEY, path, exc.strerror or exc,
        )  # fmt: skip
        secret = _new_secret()
    if len(secret) < MIN_LENGTH:
        raise ConfigurationError(f"{FILE_KEY} = {path!r}: the file holds no secret: delete it")
    return {**settings, SECRET_KEY: secret}


def _read_or_make(path: Path) -> str:
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    # Written elsewhere and linked, so that another process that starts now reads all of it or
    # nothing; to link never replaces what another process was first to make.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # mode 0600
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(f"{_new_secret()}\n")
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(name)
    return _read(path)


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace").strip()


def _new_secret() -> str:
    return secrets.token_hex(32)  # hexadecimal is what pyramid_nacl_session asks for, too
