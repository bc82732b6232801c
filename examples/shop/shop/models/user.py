"""A user, who has a password."""

import hashlib
import hmac
import secrets

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from .meta import Base

# OWASP's, for 16 MiB; `p` is what makes it slow.
SCRYPT = {"n": 2**14, "r": 8, "p": 5, "dklen": 32}


def hashed(password: str, salt: bytes) -> str:
    return hashlib.scrypt(password.encode(), salt=salt, **SCRYPT).hex()


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    salt: Mapped[bytes]
    password_hash: Mapped[str] = mapped_column(String(64))

    def set_password(self, password: str) -> None:
        self.salt = secrets.token_bytes(16)
        self.password_hash = hashed(password, self.salt)

    def has_password(self, password: str) -> bool:
        return hmac.compare_digest(self.password_hash, hashed(password, self.salt))
