"""Creates the shop's tables, and puts in what there is to sell.

    initialize_shop_db development.ini

It is safe to repeat.
"""

import argparse
from collections.abc import Sequence

from alembic import command
from alembic.config import Config
from pyramid.paster import bootstrap, setup_logging
from sqlalchemy.orm import Session

from ..models import Product, User

COLUMNS = ("id", "name", "description", "colour", "price")
TEAS = [
    ("assam", "Assam", "Malty and strong. It takes milk, and mornings.", "#8a3b12", 890),
    ("darjeeling", "Darjeeling", "First flush: light, and a little like grapes.", "#c58a2b", 1490),
    ("sencha", "Sencha", "Green, steamed, fresh. Pour it at 70 degrees.", "#7f9a3a", 1190),
    ("oolong", "Oolong", "Half way between green and black; brew it five times.", "#b0672a", 1690),
    ("rooibos", "Rooibos", "No tea at all, and no caffeine. Good before bed.", "#a03c22", 690),
    ("earl-grey", "Earl Grey", "Black tea with oil of bergamot, from Calabria.", "#6b3a1e", 950),
]
USERS = [("ann", "tea for two"), ("bob", "two for tea")]


def add_data(dbsession: Session) -> None:
    for values in TEAS:
        dbsession.merge(Product(**dict(zip(COLUMNS, values, strict=True))))
    for name, password in USERS:
        if not dbsession.query(User).filter_by(name=name).count():
            user = User(name=name)
            user.set_password(password)
            dbsession.add(user)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Create the shop's tables and its first data.")
    parser.add_argument("config_uri", help="development.ini, for example")
    uri = parser.parse_args(argv).config_uri
    setup_logging(uri)
    command.upgrade(Config(uri), "head")
    with bootstrap(uri) as env, env["request"].tm:
        add_data(env["request"].dbsession)
