"""The teas."""

from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config
from sqlalchemy import select

from .. import cart
from ..models import Product


@view_config(route_name="home", renderer="shop:templates/home.jinja2")
def home(request: Request) -> dict[str, Any]:
    return {
        "products": request.dbsession.scalars(select(Product).order_by(Product.name)).all(),
        "seen": _products(request, request.session.get("seen", [])),
    }


@view_config(route_name="product", renderer="shop:templates/product.jinja2")
def product(request: Request) -> dict[str, Any]:
    found = request.dbsession.get(Product, request.matchdict["id"])
    if found is None:
        raise HTTPNotFound()
    cart.look_at(request.session, found.id)
    return {"product": found}


def _products(request: Request, ids: list[str]) -> list[Product]:
    """Return the products with these ids, each once; those that are sold no more are left out."""
    found = (request.dbsession.get(Product, each) for each in dict.fromkeys(ids))
    return [each for each in found if each is not None]
