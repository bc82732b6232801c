"""What is refused at start beyond a key's own type: contradictions, and what is insecure."""

import itertools
import logging
import math
import re
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from .ini import SettingsReader

log = logging.getLogger(__name__)

DEVELOPMENT_SECRET: Final = "development-secret-that-everybody-can-read"  # noqa: S105  # it is no secret
# What anyone can read in this project or in the Express tutorial signs nothing in production.
PUBLISHED_SECRETS: Final = frozenset({DEVELOPMENT_SECRET, "a5d63fc5-17a5-459c-b3ba-6d81792158fc"})
MIN_SECRET_LENGTH: Final = 32
# By an estimate that is over 90 for nearly all 32 random hexadecimal digits: in 1,500,000 it was
# below 80 for three, and for none below 78.
MIN_SECRET_BITS: Final = 74
_ZLIB_OVERHEAD: Final = 8  # bytes
# What stands in examples, and what hands type that look for no secret: one character's worth each.
_COMMON_WORDS: Final = re.compile(
    "change-?_?me|changeit|change|please|secret|password|passwd|default|example|sample|replace"
    "|placeholder|insecure|production|development|session|cookie|django|super|random|string|value"
    "|admin|keyboard|correct|horse|battery|staple|quick|brown|jumps|lazy"
    "|qwertyuiop|qwertz|qwerty|asdfghjkl|zxcvbnm|1234567890|123456789|123456|12345",
    re.IGNORECASE,
)
INSECURE: Final = ("httponly", "endless", "weak-secret", "renewal-grace", "pickle")
# Pyramid allows a cookie value of 4,064 bytes: with a name of at most 32, the pair stays within
# the 4,096 that browsers keep (ASVS 3.3.5).
MAX_COOKIE_NAME: Final = 32
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 6265 cookie-name
# The prefixes of cookie names that browsers check (RFC 6265bis, 4.1.3, and its `__Http-` names), to
# what they ask for.
_PREFIXES: Final = {
    "__host-http-": ("secure", "httponly", "host"),
    "__host-": ("secure", "host"),
    "__http-": ("secure", "httponly"),
    "__secure-": ("secure",),
}


def check_cookie(read: SettingsReader, values: Mapping[str, Any]) -> None:
    """Refuse what browsers would drop, or what contradicts itself."""
    name, secure = values["cookie_name"], values["secure"]
    if not _TOKEN.fullmatch(name) or len(name) > MAX_COOKIE_NAME:
        read.refuse(
            "cookie_name", f"give at most {MAX_COOKIE_NAME} letters, digits, - or _ (RFC 6265)"
        )
    if not re.fullmatch(r"/[\x21-\x3a\x3c-\x7e]*", values["path"]):
        read.refuse("path", "give a path that starts with / and has no space and no ;")
    if values["domain"] and not re.fullmatch(r"\.?[A-Za-z0-9.-]+", values["domain"]):
        read.refuse("domain", "give a host name, or leave it out")
    if values["samesite"] == "None" and secure is not True:
        read.refuse("samesite", "browsers refuse it without session.secure = true: set that")
    if values["partitioned"] and not (secure is True and values["samesite"] == "None"):
        read.refuse("partitioned", "it needs session.secure = true and session.samesite = None")
    prefix = next((p for p in _PREFIXES if name.lower().startswith(p)), None)
    asked = _PREFIXES[prefix] if prefix else ()
    if "secure" in asked and secure is not True:
        read.refuse("cookie_name", "the prefix asks for session.secure = true: set that")
    if "httponly" in asked and not values["httponly"]:
        read.refuse("cookie_name", "the prefix asks for session.httponly = true: set that")
    if "host" in asked and (values["path"] != "/" or values["domain"]):
        read.refuse("cookie_name", "__Host- asks for session.path = / and no session.domain")
    if secure is False:
        log.warning("session.secure = false: anyone who listens on the way can take a session")


def check_secrets(read: SettingsReader, secrets: Collection[str]) -> None:
    """Refuse what is no secret at all, with either factory."""
    for secret in secrets:
        if "${" in secret:
            read.refuse(
                "secret",
                "holds a ${...} that was not replaced: call expand_environment on the settings",
                show=False,
            )


def refuse_insecure(read: SettingsReader, values: Mapping[str, Any]) -> None:
    """Refuse settings that leave sessions open, or warn of those in `session.allow_insecure`."""

    def refuse(insecurity: str, name: str, expected: str) -> None:
        if insecurity in values["allow_insecure"]:
            log.warning("session.%s is insecure, and allowed by session.allow_insecure", name)
        else:
            advice = f"or set session.allow_insecure = {insecurity}"
            read.refuse(name, f"{expected}, {advice}", show=name != "secret")

    if not values["httponly"]:
        refuse("httponly", "httponly", "a script could read the token: give true")
    if values["timeout"] is None and values["lifetime"] is None:
        refuse("endless", "lifetime", "no session would ever end: give a time-out or a lifetime")
    if any(map(is_weak_secret, values["secrets"])):
        refuse(
            "weak-secret",
            "secret",
            f"every secret needs {MIN_SECRET_LENGTH} characters or more that are hard to guess and "
            "printed nowhere: set one, as `sessionsite generate-secret` prints it",
        )
    renewal_time = values["renewal_time"]
    if renewal_time is not None and values["renewal_grace"] >= renewal_time:
        refuse(
            "renewal-grace",
            "renewal_grace",
            f"a token would never end: give fewer seconds than session.renewal_time has "
            f"({renewal_time})",
        )


def warn_of_weak_secrets(secrets: Collection[str]) -> None:
    """Warn, with the cookie factory, of what the server factory refuses."""
    if any(map(is_weak_secret, secrets)):
        log.warning(
            "session.secret is short, published or easy to guess: set a better one, as "
            "`sessionsite generate-secret` prints it"
        )


def is_weak_secret(secret: str) -> bool:
    """Return whether `secret` is short, published, or easy to guess from its own beginning.

    The estimate is the entropy of its characters, or of the steps between them if that is less,
    times the length that is left of it when repetitions are compressed away. Words that many use
    count as one character.
    """
    if len(secret) < MIN_SECRET_LENGTH or secret in PUBLISHED_SECRETS:
        return True
    codes = _COMMON_WORDS.sub("~", secret).encode()
    steps = [(b - a) % 256 for a, b in itertools.pairwise(codes)]
    length = min(len(codes), len(zlib.compress(codes, 9)) - _ZLIB_OVERHEAD)
    return min(_entropy(codes), _entropy(steps)) * length < MIN_SECRET_BITS


def _entropy(values: Sequence[int]) -> float:
    """Return Shannon's entropy of `values`, in bits per value."""
    shares = [count / len(values) for count in Counter(values).values()]
    return -sum(share * math.log2(share) for share in shares)


def check_reissue_time(read: SettingsReader, values: Mapping[str, Any]) -> None:
    """Refuse an extension of the idle end that would come after it."""
    timeout = values["timeout"]
    if timeout is not None and values["reissue_time"] >= timeout:
        read.refuse("reissue_time", f"give fewer seconds than session.timeout has ({timeout})")


def check_times(read: SettingsReader, values: Mapping[str, Any]) -> None:
    """Refuse times of the server factory that contradict each other."""
    timeout, lifetime, max_age = values["timeout"], values["lifetime"], values["max_age"]
    if values["new_timeout"] and timeout and values["new_timeout"] > timeout:
        read.refuse("new_timeout", f"give at most session.timeout ({timeout})")
    max_lifetime = values["max_lifetime"]
    if max_lifetime is not None and (lifetime is None or lifetime > max_lifetime):
        least = "none" if lifetime is None else f"none, or at least {lifetime}"
        read.refuse("max_lifetime", f"session.lifetime is {lifetime or 'none'}: give {least}")
    if max_age is None:
        return
    why = "the cookie is sent once, so it must live as long as the session"
    if lifetime is None:
        read.refuse("max_age", f"{why}, and session.lifetime is none: give none here as well")
    if max_age < lifetime:
        read.refuse("max_age", f"{why}: give none, or at least session.lifetime ({lifetime})")
