"""The closed network of the tests: loopback, and the wiki that the environment names, nothing else."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

LOOPBACK = ("127.", "::1", "localhost")


class Gate:
    """Says which connections may be made: to this machine, and to these hosts at these ports.

    A host is known by the addresses that its own name was found to have; they are learned as names are looked up.
    """

    def __init__(self, allowed: Collection[tuple[str, int]] = ()) -> None:
        self._allowed = {(host.lower(), port) for host, port in allowed}
        self._known = set(self._allowed)

    def learn(self, host: object, port: object, found: Collection[tuple[Any, ...]]) -> None:
        """Take note of what looking up a name brought (the answer of `socket.getaddrinfo`)."""
        name = host.decode() if isinstance(host, bytes) else str(host)
        for allowed, its_port in self._allowed:
            if name.lower() == allowed:
                self._known |= {(str(one[4][0]), its_port) for one in found}

    def check(self, address: Any) -> None:
        """Raise OSError for an address that no test may connect to. Sockets of files are always fine."""
        if not isinstance(address, tuple) or str(address[0]).startswith(LOOPBACK):
            return
        if (str(address[0]).lower(), address[1]) not in self._known:
            besides = "".join(f" and {host}:{port}" for host, port in sorted(self._allowed))
            raise OSError(f"tests talk to loopback{besides} only, not to {address[0]}:{address[1]}")


@contextmanager
def closed_network(gate: Gate) -> Iterator[None]:
    """Let no connection of this process pass that the gate does not allow."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded(self: socket.socket, address: Any) -> None:
        gate.check(address)
        connect(self, address)

    def noted(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        found = look_up(host, port, *more, **named)
        gate.learn(host, port, found)
        return found

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    patch.setattr(socket, "getaddrinfo", noted)
    try:
        yield
    finally:
        patch.undo()
