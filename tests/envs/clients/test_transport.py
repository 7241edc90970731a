"""How requests are sent: what the other end receives in one packet."""

import socket
from collections.abc import Iterator

import pytest

from deskbench.envs.clients.http import Client

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
SHORT, LONG = 1_000, 100_000
"""Bytes of a body that is sent together with its head, and of one that is too large to be copied for that."""


@pytest.fixture
def pair() -> Iterator[tuple[Client, socket.socket]]:
    """A client, and the other end of its connection, which receives each packet as it was sent."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    there.settimeout(10)
    there.sendall(ANSWER)  # stays in the buffer until it is read
    client = Client("pair", connect=lambda: here)
    yield client, there
    client.close()
    there.close()


@pytest.mark.parametrize(("size", "packets"), [(SHORT, 1), (LONG, 2)])
def test_a_small_body_is_one_packet_with_its_head(pair: tuple[Client, socket.socket], size: int, packets: int) -> None:
    client, there = pair
    client._send("POST", "/setup/upload", timeout=10, data=b"x" * size)
    came = [there.recv(2 * LONG) for _ in range(packets)]
    head, _, body = b"".join(came).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /setup/upload HTTP/1.1\r\n")
    assert body == b"x" * size


def test_a_request_without_a_body_is_sent_at_once(pair: tuple[Client, socket.socket]) -> None:
    client, there = pair
    client._send("GET", "/v1/health", timeout=10)
    assert there.recv(LONG).endswith(b"\r\n\r\n")
