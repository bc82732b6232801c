"""The shop's tables, and `request.dbsession`, which ends with the request's transaction.

The web session is none of this: it has connections of its own, and outlives a transaction that is
rolled back.
"""

from collections.abc import Mapping
from typing import Any

import zope.sqlalchemy
from pyramid.config import Configurator
from pyramid.request import Request
from sqlalchemy import Engine, engine_from_config
from sqlalchemy.orm import Session, configure_mappers, sessionmaker

from .meta import Base
from .order import Order, OrderLine
from .product import Product
from .user import User

__all__ = ["Base", "Order", "OrderLine", "Product", "User", "get_engine", "includeme"]

configure_mappers()


def get_engine(settings: Mapping[str, Any]) -> Engine:
    return engine_from_config(dict(settings), "sqlalchemy.")


def includeme(config: Configurator) -> None:
    settings = config.get_settings()
    settings["tm.manager_hook"] = "pyramid_tm.explicit_manager"
    config.include("pyramid_tm")
    config.include("pyramid_retry")
    make_session = sessionmaker(get_engine(settings))

    def dbsession(request: Request) -> Session:
        session = make_session()
        zope.sqlalchemy.register(session, transaction_manager=request.tm)
        return session

    config.registry["make_dbsession"] = make_session
    config.add_request_method(dbsession, reify=True)
