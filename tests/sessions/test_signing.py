"""The signer, beside WebOb's own, whose cookies are in the browsers of visitors."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webob.cookies import SignedSerializer

from sessionsite.sessions.signing import RotatingSigner

SALT = "sessionsite.server."
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


class Plain:
    """A serializer of bytes."""

    def dumps(self, appstruct: bytes) -> bytes:
        return appstruct

    def loads(self, bstruct: bytes) -> bytes:
        return bstruct


def webobs(secret: str) -> SignedSerializer:
    return SignedSerializer(secret, SALT, "sha512", serializer=Plain())


@given(st.lists(TEXTS, min_size=1, max_size=3), st.binary())
def test_signer_reads_and_writes_what_webob_does(secrets: list[str], value: bytes) -> None:
    signer = RotatingSigner(secrets, SALT, Plain())
    assert signer.dumps(value) == webobs(secrets[0]).dumps(value)
    for secret in secrets:
        assert signer.loads(webobs(secret).dumps(value)) == value


@given(TEXTS, st.binary(), st.data())
def test_signer_refuses_what_webob_refuses(secret: str, value: bytes, data: st.DataObject) -> None:
    sent = bytearray(RotatingSigner([secret], SALT, Plain()).dumps(value))
    place = data.draw(st.integers(0, len(sent) - 1))
    sent[place] = data.draw(st.sampled_from(b"AZaz09-_"))
    changed = bytes(sent[: data.draw(st.integers(1, len(sent)))])
    try:
        expected = webobs(secret).loads(changed)  # the last character has bits that say nothing
    except ValueError:
        with pytest.raises(ValueError, match=r"Badly formed|Invalid signature"):
            RotatingSigner([secret], SALT, Plain()).loads(changed)
    else:
        assert RotatingSigner([secret], SALT, Plain()).loads(changed) == expected


@pytest.mark.parametrize("sent", [b"", b"A", b"A" * 85, b"A" * 86, b"+" * 88, b"A=" * 44, b"A\n"])
def test_signer_refuses_what_nobody_has_signed(sent: bytes) -> None:
    with pytest.raises(ValueError, match=r"Badly formed|Invalid signature"):
        RotatingSigner(["a secret"], SALT, Plain()).loads(sent)


def test_signature_of_another_secret_or_salt_is_refused() -> None:
    sent = base64.urlsafe_b64encode(b"0" * 64 + b"value").rstrip(b"=")
    for other in (
        sent,
        webobs("another").dumps(b"value"),
        SignedSerializer("a secret", "salt", serializer=Plain()).dumps(b"value"),
    ):
        with pytest.raises(ValueError, match="Invalid signature"):
            RotatingSigner(["a secret"], SALT, Plain()).loads(other)
