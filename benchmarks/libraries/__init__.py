"""What the project does by hand, beside the libraries that could do it."""

from collections.abc import Callable

Once = Callable[[], object]
Piece = tuple[str, str, Once, Once]
"""What is done, the library, and how we and the library do it."""
