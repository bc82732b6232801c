"""The cart, in the visitor's session; and what of it holds when two requests come at once.

`session["cart"]` has the number of packets by the id of the tea. `session["seen"]` has the teas
that the visitor has looked at, newest first.
"""

import secrets
from typing import Any

MOST = 99  # packets of one tea
KEPT = 6  # teas in the list

Session = Any


def add(session: Session, product_id: str) -> None:
    """Put one more packet into the cart.

    A counter: of two parallel requests both would read 1 and both write 2, and nothing tells that
    from one request. `transact` calls `count` on the newest data, one request at a time.
    """

    def count(newest: Session) -> None:
        cart = newest.setdefault("cart", {})
        cart[product_id] = min(cart.get(product_id, 0) + 1, MOST)

    session.transact(count)


def remove(session: Session, product_id: str) -> None:
    """Take a tea out. A removed key needs no `transact`: it stays removed, whatever else comes."""
    session.get("cart", {}).pop(product_id, None)


def look_at(session: Session, product_id: str) -> None:
    """Note that the visitor looks at a tea.

    A list needs no `transact`: what parallel requests insert is all kept.
    """
    seen = session.setdefault("seen", [])
    if product_id not in seen[:1]:
        seen.insert(0, product_id)
        del seen[KEPT:]


def begin_order(session: Session) -> tuple[str, dict[str, int]] | None:
    """Return the key of the order that is to be placed, and what is in the cart; None: nothing is.

    The cart stays as it is until the order is in the database. The key stays as well, so that a
    second click, or another try after an error, is the same order and not a second one.
    """

    def give_key(newest: Session) -> tuple[str, dict[str, int]] | None:
        if not newest.get("cart"):
            return None
        return newest.setdefault("order_key", secrets.token_urlsafe(16)), dict(newest["cart"])

    begun: tuple[str, dict[str, int]] | None = session.transact(give_key)
    return begun


def end_order(committed: bool, session: Session, key: str, ordered: dict[str, int]) -> None:
    """Take out of the cart what was ordered; called after the database's commit.

    What was put in meanwhile stays. If this fails, the next checkout finds the order by its key.
    """

    def take_out(newest: Session) -> None:
        if newest.get("order_key") != key:
            return  # a parallel request has done it
        del newest["order_key"]
        cart = newest.get("cart", {})
        for product_id, number in ordered.items():
            left = cart.pop(product_id, 0) - number
            if left > 0:
                cart[product_id] = left
        newest.flash("Thank you. Your tea is on its way.")

    if committed:
        session.transact(take_out)
