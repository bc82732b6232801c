"""`pshell production.ini`: the session store in scope."""

from typing import Any

from pyramid.interfaces import ISessionFactory


def setup(env: dict[str, Any]) -> None:
    """Add `store` to pshell's variables, where the factory has one."""
    factory = env["registry"].queryUtility(ISessionFactory)
    env["store"] = getattr(factory, "store", None)
