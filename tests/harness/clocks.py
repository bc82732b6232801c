"""Processes whose clock is ahead of the machine's, or behind it."""

from pathlib import Path

from tests.harness import Missing


def clock_apart(seconds: float) -> dict[str, str]:
    """The environment of a process whose clock is so many seconds ahead. Raises Missing.

    Only the time of day: the time that waits and time-outs go by stays as it is.
    """
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise Missing("libfaketime", "apt install faketime")
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME": f"{seconds:+g}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
