"""Signed cookie values, in WebOb's format: the HMAC, and then what it signs, in Base64 for URLs."""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from typing import Any, Protocol

from webob.cookies import SignedSerializer

_BASE64 = re.compile(rb"[A-Za-z0-9_-]+")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PADDING = (b"", b"===", b"==", b"=")
_SIZE = 64  # bytes of an HMAC with SHA-512


class Serializer(Protocol):
    """WebOb's shape of a serializer; `loads` raises ValueError for what it can't read."""

    def dumps(self, appstruct: Any) -> bytes: ...
    def loads(self, bstruct: bytes) -> Any: ...


class RotatingSigner:
    """Signs with the first secret, and accepts a signature by any of them.

    So a secret is rotated with nobody logged out: put the new one in front, and take the old
    one away once every cookie that it signed has run out.

    WebOb makes the keys of the secrets. But its `SignedSerializer` begins each HMAC with the key,
    in Python, which takes more than twice as long as what OpenSSL does of it.
    """

    def __init__(self, secrets: Sequence[str], salt: str, serializer: Serializer) -> None:
        keys = (SignedSerializer(secret, salt).salted_secret for secret in secrets)
        self._begun = [hmac.new(key, digestmod="sha512") for key in keys]
        self._serializer = serializer

    def dumps(self, appstruct: Any) -> bytes:
        signed = self._serializer.dumps(appstruct)
        return base64.urlsafe_b64encode(_signature(self._begun[0], signed) + signed).rstrip(b"=")

    def loads(self, bstruct: bytes) -> Any:
        """Return what was signed. Raises ValueError if none of the secrets signed it."""
        if not _BASE64.fullmatch(bstruct):  # Python's decoder passes over any other character
            raise ValueError("Badly formed base64 data")
        try:
            decoded = binascii.a2b_base64(bstruct.translate(_STANDARD) + _PADDING[len(bstruct) % 4])
        except binascii.Error as exc:
            raise ValueError(f"Badly formed base64 data: {exc}") from exc
        signature, signed = decoded[:_SIZE], decoded[_SIZE:]
        for begun in self._begun:
            if hmac.compare_digest(_signature(begun, signed), signature):
                return self._serializer.loads(signed)
        raise ValueError("Invalid signature")


def _signature(begun: hmac.HMAC, signed: bytes) -> bytes:
    with_key = begun.copy()
    with_key.update(signed)
    return with_key.digest()
