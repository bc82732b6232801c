"""What a user's browser is called on the page "Your devices"."""

BROWSERS = {"Edg": "Edge", "Firefox": "Firefox", "Chrom": "Chrome", "Safari": "Safari"}
SYSTEMS = {
    "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows",
    "Mac OS": "a Mac", "Linux": "Linux",
}  # fmt: skip


def name_of(user_agent: str | None) -> str:
    """Return a name such as "Firefox on Linux".

    The session keeps no more of the user agent than that: it is personal data.
    """

    def first(names: dict[str, str], default: str) -> str:
        # Their order counts: Edge calls itself Chrome, and Chrome calls itself Safari, too.
        return next((name for part, name in names.items() if part in (user_agent or "")), default)

    return f"{first(BROWSERS, 'A browser')} on {first(SYSTEMS, 'some device')}"
