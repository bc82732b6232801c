"""What of pyramid_retry concerns sessions: the attempts that it discards."""

from pyramid.request import Request
from zope.interface import Interface

try:
    from pyramid_retry import IBeforeRetry, is_error_retryable
except ImportError:  # then nothing is retried

    class IBeforeRetry(Interface):  # type: ignore[misc, no-redef]
        """The event of an attempt that is discarded; here there is none."""

    def is_error_retryable(request: Request, exc: BaseException) -> bool:
        return False


__all__ = ["IBeforeRetry", "is_error_retryable"]
