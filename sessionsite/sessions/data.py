"""What any session's data can do, wherever it is kept: flash messages and the CSRF token."""

import secrets
from typing import Any


class SessionData(dict[str, Any]):
    """A dict with the flash queues and the CSRF token of Pyramid's `ISession`.

    They live under the same keys as in Pyramid's own cookie session.
    """

    def flash(self, msg: Any, queue: str = "", allow_duplicate: bool = True) -> None:
        messages = self.setdefault(f"_f_{queue}", [])
        if allow_duplicate or msg not in messages:
            messages.append(msg)

    def pop_flash(self, queue: str = "") -> list[Any]:
        messages: list[Any] = self.pop(f"_f_{queue}", [])
        return messages

    def peek_flash(self, queue: str = "") -> list[Any]:
        messages: list[Any] = self.get(f"_f_{queue}", [])
        return messages

    def new_csrf_token(self) -> str:
        token = self["_csrft_"] = secrets.token_hex(20)
        return token

    def get_csrf_token(self) -> str:
        token: str | None = self.get("_csrft_")
        return token or self.new_csrf_token()
