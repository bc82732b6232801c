"""Times and amounts in words, for visitors."""

from datetime import datetime

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def duration(seconds: float) -> str:
    """Return `seconds` in the largest unit that fits, rounded: "20 minutes"."""
    for unit, size in _UNITS:
        if seconds >= size * 0.995 or unit == "second":
            count = round(seconds / size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    raise AssertionError


def relative(moment: datetime, now: datetime) -> str:
    """Return when `moment` is, seen from `now`: "3 minutes ago", "in 12 hours", "just now"."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"in {duration(seconds)}" if seconds > 0 else f"{duration(-seconds)} ago"
