"""The cart, the checkout, and what was ordered."""

from typing import Any

from pyramid.httpexceptions import HTTPBadRequest, HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config
from pyramid_retry import mark_error_retryable
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from .. import cart
from ..models import Order, OrderLine, Product


@view_config(route_name="cart", renderer="shop:templates/cart.jinja2")
def show(request: Request) -> dict[str, Any]:
    lines = _lines(request, request.session.get("cart", {}))
    return {"lines": lines, "total": sum(line.quantity * line.price for line in lines)}


@view_config(route_name="cart_add", request_method="POST")
def add(request: Request) -> HTTPSeeOther:
    product = request.dbsession.get(Product, request.POST.get("id", ""))
    if product is None:
        raise HTTPBadRequest("There is no such tea.")
    cart.add(request.session, product.id)
    request.session.flash(f"{product.name} is in your cart.", allow_duplicate=False)
    return HTTPSeeOther(request.route_path("cart"))


@view_config(route_name="cart_remove", request_method="POST")
def remove(request: Request) -> HTTPSeeOther:
    cart.remove(request.session, request.POST.get("id", ""))
    return HTTPSeeOther(request.route_path("cart"))


@view_config(route_name="checkout", request_method="POST", permission="order")
def checkout(request: Request) -> HTTPSeeOther:
    """Place the order, once, however often the button is clicked."""
    to_orders = HTTPSeeOther(request.route_path("orders"))
    begun = cart.begin_order(request.session)
    if begun is None:
        return to_orders
    key, wanted = begun
    order = request.dbsession.scalar(select(Order).where(Order.key == key))
    if order is None:
        lines = _lines(request, wanted)
        if not lines:
            return HTTPSeeOther(request.route_path("cart"))
        order = Order(key=key, user=request.identity, lines=lines)
        request.dbsession.add(order)
        try:
            request.dbsession.flush()
        except IntegrityError as error:
            # Another click was faster. pyramid_retry calls this view again, which finds its order.
            mark_error_retryable(error)
            raise
    ordered = {line.product_id: line.quantity for line in order.lines}
    # After the commit: an order that fails leaves the cart as it was.
    request.tm.get().addAfterCommitHook(cart.end_order, args=(request.session, key, ordered))
    return to_orders


@view_config(route_name="orders", renderer="shop:templates/orders.jinja2", permission="order")
def orders(request: Request) -> dict[str, Any]:
    mine = select(Order).where(Order.user == request.identity).order_by(Order.id.desc())
    return {"orders": request.dbsession.scalars(mine).all()}


def _lines(request: Request, wanted: dict[str, int]) -> list[OrderLine]:
    """Return what is wanted, at today's prices; what is sold no more is left out."""
    found = ((request.dbsession.get(Product, key), number) for key, number in wanted.items())
    return [
        OrderLine(product=product, product_id=product.id, quantity=number, price=product.price)
        for product, number in found
        if product is not None
    ]
