"""A store in a process of its own, called from here: two processes over the same rows."""

import importlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from sessionsite.sessions import Record
from tests import ROOT

Change = Callable[[Record], Record | None]
SAME = "the record that was given"


class StoreBeside:
    """The store that `settings` make of `name` in another process; each call is a connection.

    `change` and `work` run here, while the other process waits for them under its lock.
    """

    def __init__(self, name: str, settings: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__], cwd=ROOT, stdin=-1, stdout=-1
        )
        assert self.process.stdin
        assert self.process.stdout
        pickle.dump((name, settings), self.process.stdin)
        self.process.stdin.flush()
        self._address: Any = pickle.load(self.process.stdout)

    @contextmanager
    def _call(self, *command: Any) -> Iterator[Connection]:
        with Client(self._address) as connection:
            connection.send(command)
            yield connection

    def _returned(self, connection: Connection) -> Any:
        returned, error = connection.recv()
        if error is not None:
            raise error
        return returned

    def __getattr__(self, name: str) -> Any:
        def method(*args: Any) -> Any:
            with self._call(name, *args) as connection:
                return self._returned(connection)

        return method

    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        with self._call("update", id, now) as connection:
            while True:
                what, value = connection.recv()
                if what != "change":
                    break
                changed = change(value)
                connection.send(SAME if changed is value else changed)
            if what == "raised":
                raise value
            stored: Record | None = value
            return stored

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        with self._call("sweeping") as connection:
            yield connection.recv()
            connection.send(None)
            connection.recv()

    def close(self) -> None:
        self.__getattr__("close")()
        self.process.communicate()
        assert self.process.returncode == 0


def _serve(store: Any, connection: Connection) -> None:
    with connection:
        name, *args = connection.recv()
        if name == "sweeping":
            with store.sweeping() as turn:
                connection.send(turn)
                connection.recv()
            connection.send(None)
        elif name == "update":

            def change(newest: Record) -> Any:
                connection.send(("change", newest))
                changed = connection.recv()
                return newest if changed == SAME else changed

            try:
                connection.send(("returned", store.update(*args, change)))
            except Exception as exc:
                connection.send(("raised", exc))
        else:
            try:
                connection.send((getattr(store, name)(*args), None))
            except Exception as exc:
                connection.send((None, exc))


def main() -> None:
    name, settings = pickle.load(sys.stdin.buffer)
    module, _, function = name.rpartition(".")
    store = getattr(importlib.import_module(module), function)(settings)
    with Listener() as listener:
        pickle.dump(listener.address, sys.stdout.buffer)
        sys.stdout.flush()

        def accept() -> None:
            while True:
                threading.Thread(
                    target=_serve, args=(store, listener.accept()), daemon=True
                ).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()  # ends with the process that has started us


if __name__ == "__main__":
    main()
