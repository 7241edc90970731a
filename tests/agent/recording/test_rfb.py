"""What a VNC client says is cut into messages, however it comes."""

import struct
from collections.abc import Iterator

import pytest

from deskbench.agent.recording.rfb import ClientStream, Message
from deskbench.envs.errors import UsageError

KEY = struct.pack(">BBxxI", 4, 1, 0x61)
MOVE = struct.pack(">BBHH", 5, 1, 640, 400)
ENCODINGS = struct.pack(">BxH3i", 2, 3, 7, -316, -308)
FEWER = struct.pack(">BxH2i", 2, 2, 7, -308)
QEMU = struct.pack(">BBHII", 255, 0, 1, 0xFF0D, 28)
OTHERS = [
    bytes(20), struct.pack(">BxHHHH", 3, 0, 0, 9, 9), struct.pack(">Bxxxi", 6, 3) + b"abc",
    struct.pack(">Bxxxi", 6, -4) + b"\0\0\0\1", struct.pack(">BBHHHH", 150, 1, 0, 0, 9, 9),
    struct.pack(">BxxxIB", 248, 1, 2) + b"ab", struct.pack(">BxHHBx", 251, 9, 9, 1) + bytes(16), bytes([250, 0, 1, 2]),
]  # fmt: skip
HANDSHAKE = b"RFB 003.008\n" + b"\1" + b"\1"


def cut(data: bytes, size: int) -> Iterator[Message]:
    stream = ClientStream()
    for start in range(0, len(data), size):
        yield from stream.feed(data[start : start + size])


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_keys_and_pointer_are_read_and_everything_goes_on(size: int) -> None:
    messages = list(cut(HANDSHAKE + ENCODINGS + KEY + b"".join(OTHERS) + MOVE + QEMU, size))
    assert b"".join(one.data for one in messages) == HANDSHAKE + FEWER + KEY + b"".join(OTHERS) + MOVE + QEMU
    assert [one.key for one in messages if one.key] == [(True, 0x61), (True, 0xFF0D)]
    assert [one.pointer for one in messages if one.pointer] == [(1, 640, 400)]


def test_the_oldest_version_has_a_shorter_beginning() -> None:
    assert [one.key for one in cut(b"RFB 003.003\n\1" + KEY, 4096)][-1] == (True, 0x61)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", HANDSHAKE + b"\x63"])
def test_what_is_no_known_message_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError):
        list(cut(data, 4096))
