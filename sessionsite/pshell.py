"""`pshell production.ini`: the session store in scope."""

from typing import Any

from pyramid.interfaces import ISessionFactory


def setup(env: dict[str, Any]) -> None:
    """Add `store` and `table` to pshell's variables, where the factory has them."""
    factory = env["registry"].queryUtility(ISessionFactory)
    env["store"] = getattr(factory, "store", None)
    env["table"] = getattr(env["store"], "table", None)
