"""An order, and its lines."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .meta import Base
from .product import Product
from .user import User


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(40), unique=True)
    """Made by the session: the same for each try to place this order."""
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    placed_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), default=lambda: datetime.now(UTC)
    )
    user: Mapped[User] = relationship()
    lines: Mapped[list["OrderLine"]] = relationship(
        lazy="selectin", order_by="OrderLine.product_id"
    )

    @property
    def total(self) -> int:
        """In cents."""
        return sum(line.quantity * line.price for line in self.lines)


class OrderLine(Base):
    __tablename__ = "order_lines"

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"), primary_key=True)
    quantity: Mapped[int]
    price: Mapped[int]
    """Of one, in cents, when it was ordered."""
    product: Mapped[Product] = relationship(lazy="joined")
