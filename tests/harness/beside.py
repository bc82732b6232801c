"""A store in a process of its own, called from here: two processes over the same rows."""

import importlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from tests import ROOT

SAME = "what it was given"
CALLS_BACK = ("update", "with_owner_locked")  # these end with the function to call


class StoreBeside:
    """The store that `settings` make of `name` in another process.

    What a store calls back, `change` and `work`, is called here, while the other process waits for
    it under its lock; what `work` asks of the store, the same thread of that process does.
    """

    def __init__(self, name: str, settings: dict[str, str]) -> None:
        command = [sys.executable, "-m", __name__]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdin
        assert self.process.stdout
        pickle.dump((name, settings), self.process.stdin)
        self.process.stdin.flush()
        self._address: Any = pickle.load(self.process.stdout)
        self._own = threading.local()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def method(*args: Any) -> Any:
            call_back = args[-1] if name in CALLS_BACK else None
            with self._asking(name, *args[: len(args) - (call_back is not None)]) as connection:
                return self._returned(connection, call_back)

        return method

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        with self._asking("sweeping") as connection:
            _, (turn,) = connection.recv()
            yield turn
            connection.send(("done", None))
            self._returned(connection, None)

    def close(self) -> None:
        self.__getattr__("close")()
        self.process.communicate()
        assert self.process.returncode == 0

    @contextmanager
    def _asking(self, *command: Any) -> Iterator[Connection]:
        outer = getattr(self._own, "connection", None)
        with nullcontext(outer) if outer else Client(self._address) as connection:
            connection.send(command)
            yield connection

    def _returned(self, connection: Connection, call_back: Callable[..., Any] | None) -> Any:
        while True:
            what, value = connection.recv()
            if what == "returned":
                return value
            if what == "raised":
                raise value
            assert call_back is not None
            outer, self._own.connection = getattr(self._own, "connection", None), connection
            try:
                returned = call_back(*value)
                connection.send(("done", SAME if value and returned is value[0] else returned))
            except Exception as exc:
                connection.send(("raise", exc))
            finally:
                self._own.connection = outer


class _Service:
    """One call of the store, and what is called back meanwhile."""

    def __init__(self, store: Any, connection: Connection) -> None:
        self._store, self._connection = store, connection

    def run(self) -> None:
        with self._connection:
            self._do(*self._connection.recv())

    def _do(self, name: str, *args: Any) -> None:
        try:
            if name == "sweeping":
                with self._store.sweeping() as turn:
                    returned = self._call_back(turn)
            else:
                further = (self._call_back,) if name in CALLS_BACK else ()
                returned = getattr(self._store, name)(*args, *further)
            self._connection.send(("returned", returned))
        except EOFError:
            return  # the other end is gone
        except Exception as exc:
            self._connection.send(("raised", exc))

    def _call_back(self, *args: Any) -> Any:
        self._connection.send(("call", args))
        while True:
            name, *values = self._connection.recv()
            if name == "done":
                return args[0] if values == [SAME] else values[0]
            if name == "raise":
                raise values[0]
            self._do(name, *values)


def main() -> None:
    name, settings = pickle.load(sys.stdin.buffer)
    module, _, function = name.rpartition(".")
    store = getattr(importlib.import_module(module), function)(settings)
    with Listener() as listener:
        pickle.dump(listener.address, sys.stdout.buffer)
        sys.stdout.flush()

        def accept() -> None:
            while True:
                service = _Service(store, listener.accept())
                threading.Thread(target=service.run, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()  # ends with the process that has started us


if __name__ == "__main__":
    main()
