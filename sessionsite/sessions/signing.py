"""Signed cookie values: one WebOb `SignedSerializer` per secret."""

import re
from collections.abc import Sequence
from typing import Any, Protocol

from webob.cookies import SignedSerializer

_BASE64 = re.compile(rb"[A-Za-z0-9_-]+")


class Serializer(Protocol):
    """WebOb's shape of a serializer; `loads` raises ValueError for what it can't read."""

    def dumps(self, appstruct: Any) -> bytes: ...
    def loads(self, bstruct: bytes) -> Any: ...


class RotatingSigner:
    """Signs with the first secret, and accepts a signature by any of them.

    So a secret is rotated with nobody logged out: put the new one in front, and take the old
    one away once every cookie that it signed has run out.
    """

    def __init__(self, secrets: Sequence[str], salt: str, serializer: Serializer) -> None:
        self._signers = [
            SignedSerializer(secret, salt, "sha512", serializer=serializer) for secret in secrets
        ]

    def dumps(self, appstruct: Any) -> bytes:
        signed: bytes = self._signers[0].dumps(appstruct)
        return signed

    def loads(self, bstruct: bytes) -> Any:
        """Return what was signed. Raises ValueError if none of the secrets signed it."""
        if not _BASE64.fullmatch(bstruct):  # Python's decoder passes over any other character
            raise ValueError("Badly formed base64 data")
        *others, last = self._signers
        for signer in others:
            try:
                return signer.loads(bstruct)
            except ValueError:
                continue
        return last.loads(bstruct)
