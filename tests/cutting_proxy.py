"""A TCP proxy that cuts every connection over it again and again, in the middle of whatever is under way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE = 4096


class CuttingProxy:
    """Leads from a port of its own to another; every `seconds` all connections are cut, both sides at once."""

    def __init__(self, to: int, seconds: float) -> None:
        self.cuts = 0
        self._to = to
        self._seconds = seconds
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._accept, self._cut_forever)]
        for thread in self._threads:
            thread.start()

    def cut(self) -> None:
        """Cut all connections now; each counts."""
        with self._lock:
            cut, self._open = self._open, set()
        self.cuts += len(cut) // 2
        for each in cut:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Take no more connections, and cut those that are open."""
        self._stopping.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def _cut_forever(self) -> None:
        while not self._stopping.wait(self._seconds):
            self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            with self._lock:
                self._open |= {near, far}
            for pair in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pump, args=pair, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                target.sendall(piece)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, target}
        source.close()


@contextmanager
def cutting_proxy(to: int, seconds: float) -> Iterator[CuttingProxy]:
    """Provide a proxy to a port of this machine."""
    proxy = CuttingProxy(to, seconds)
    try:
        yield proxy
    finally:
        proxy.stop()
