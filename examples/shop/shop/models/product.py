"""A tea."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from .meta import Base


class Product(Base):
    __tablename__ = "products"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    description: Mapped[str] = mapped_column(String(400))
    colour: Mapped[str] = mapped_column(String(7))
    """Of the cup, as CSS has it."""
    price: Mapped[int]
    """In cents."""
