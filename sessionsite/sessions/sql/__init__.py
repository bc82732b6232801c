"""The SQL store's door: sessions in PostgreSQL or SQLite, through SQLAlchemy and no ORM."""

from ..sql_settings import SQLSettings, sql_settings
from .creation import create_table
from .database import Fault
from .diagnosis import diagnose
from .engine import make_engine
from .from_settings import store_from_settings
from .store import SQLAlchemyStore
from .table import sessions_table, status_table
from .upgrade import upgrade_table

__all__ = [
    "Fault",
    "SQLAlchemyStore",
    "SQLSettings",
    "create_table",
    "diagnose",
    "make_engine",
    "sessions_table",
    "sql_settings",
    "status_table",
    "store_from_settings",
    "upgrade_table",
]
