"""The addresses."""

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    config.add_static_view("static", "shop:static", cache_max_age=3600)
    config.add_route("home", "/")
    config.add_route("product", "/teas/{id}")
    config.add_route("cart", "/cart")
    config.add_route("cart_add", "/cart/add")
    config.add_route("cart_remove", "/cart/remove")
    config.add_route("checkout", "/checkout")
    config.add_route("orders", "/orders")
    config.add_route("login", "/login")
    config.add_route("logout", "/logout")
    config.add_route("devices", "/devices")
    config.add_route("devices_end", "/devices/end")
    config.add_route("devices_everywhere", "/devices/everywhere")
