"""The contract of a `SessionStore` as tests: subclass `StoreContract`."""

from .ends import EndContract
from .failures import FailureContract
from .parallel import ParallelContract
from .rows import RowContract
from .updates import UpdateContract


class StoreContract(RowContract, UpdateContract, EndContract, ParallelContract, FailureContract):
    """What every `SessionStore` promises; subclass it, with a pytest fixture named `store`.

    The fixture gives an empty store. Concurrency is tested with threads. Three promises can't be
    tested from outside: write `break_store`, `spoil_row` and `second_store`, and they are. Until
    then their tests are skipped.
    """
