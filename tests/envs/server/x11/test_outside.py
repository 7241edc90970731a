"""What may wake a program besides its own calls, seen in the test's own process."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deskbench.envs.server.x11.outside import Outside

NAMES = pytest.mark.parametrize("name", ["\0plain", "\0\n\nNum 1\n", "\0a\n0: 0 0 0 0 0 7 b\n"])
"""Names of sockets; the last two break the kernel's table into other lines."""


@contextmanager
def local(name: str) -> Iterator[None]:
    """Sockets whose other end is on this machine, or that have none."""
    with socket.socket(socket.AF_UNIX) as named, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0):
        named.bind(name)
        one, other = socket.socketpair()
        with one, other:
            yield


@NAMES
def test_local_sockets_hide_nothing(name: str) -> None:
    own = os.getpid()
    before = Outside().look([own])
    with local(name):
        assert Outside().look([own]) == before


@NAMES
def test_a_program_with_a_connection_may_be_woken_by_it(name: str) -> None:
    outside, own = Outside(), os.getpid()
    outside.look([own])
    with local(name), socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        for _ in range(2):  # the second time, the sockets are known
            assert outside.look([own])[1] == {own}


def test_a_program_that_has_ended_is_left_out() -> None:
    process = os.fork()
    if not process:
        os._exit(0)
    os.waitpid(process, 0)
    assert Outside().look([process]) == ({}, set())
