"""Servers of ours that work while a test asks them."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar


class Serves(AbstractContextManager[Any], Protocol):
    def serve(self) -> Any: ...

    def stop(self) -> Any: ...


Server = TypeVar("Server", bound=Serves)


@contextmanager
def at_work(server: Server) -> Iterator[Server]:
    """Serve from a thread, until the block ends."""
    with server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join()
