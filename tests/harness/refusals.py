"""How a setting is refused."""

from typing import Any

import pytest

from sessionsite.sessions.ini import ConfigurationError

SECRET = "a-secret-for-tests-that-is-long-enough"


def check_refusal(call: Any, key: str, advice: str) -> None:
    """`call` raises one line that names the key, gives the advice, and shows no secret."""
    with pytest.raises(ConfigurationError) as caught:
        call()
    message = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert message.startswith(key)
    assert advice in message
    assert "\n" not in message
    assert SECRET not in message
    assert "short" not in message.replace("short a time", "")
