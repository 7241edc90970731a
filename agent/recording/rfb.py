"""What a VNC client says, message by message: RFB 3.3 to 3.8 (RFC 6143), and the extensions that noVNC speaks."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from deskbench.envs.errors import UsageError

NO_EXTENDED_BUTTONS = -316
"""The pseudo-encoding that makes pointer messages longer; it is never offered to the server."""
_FIXED = {0: 20, 3: 10, 4: 8, 5: 6, 150: 10, 250: 4}
"""Types of messages of one length: pixel format, update request, key, pointer, continuous updates, xvp."""


@dataclass(frozen=True)
class Message:
    """A whole message: its bytes as the server is to get them, and its type (None: of the handshake)."""

    data: bytes
    type: int | None = None

    @property
    def pointer(self) -> tuple[int, int, int] | None:
        """Buttons, x and y."""
        if self.type != 5:
            return None
        buttons, x, y = struct.unpack(">xBHH", self.data)
        return buttons, x, y

    @property
    def key(self) -> tuple[bool, int] | None:
        """Down, and the keysym."""
        if self.type == 4:
            down, sym = struct.unpack(">x?xxI", self.data)
        elif self.type == 255:  # QEMU's: it has the key's code, too
            down, sym = struct.unpack(">xxHI4x", self.data)
        else:
            return None
        return bool(down), int(sym)


@dataclass
class ClientStream:
    """Cuts what a client sends into messages."""

    _data: bytes = b""
    _handshake: list[int] = field(default_factory=lambda: [12])
    """Lengths of what is still to come before messages do."""
    _began: bool = False

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now.

        Raises:
            UsageError: the client speaks something else.
        """
        self._data += data
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> Message | None:
        if self._handshake:
            size: int | None = self._handshake[0]
        else:
            size = _length(self._data) if self._data else None
        if size is None or len(self._data) < size:
            return None
        data, self._data = self._data[:size], self._data[size:]
        if self._handshake:
            self._shake(data)
            return Message(data)
        return Message(_without_extended_buttons(data) if data[0] == 2 else data, data[0])

    def _shake(self, data: bytes) -> None:
        del self._handshake[0]
        if not self._began:
            if not data.startswith(b"RFB 003."):
                raise UsageError("a client that is no VNC client has connected")
            self._began = True
            self._handshake = [1] if data == b"RFB 003.003\n" else [1, 1]  # kind of security, shared


def _length(data: bytes) -> int | None:
    """Bytes of the message that begins here; None while that is not known.

    Raises:
        UsageError: a message that is not known.
    """
    kind = data[0]
    if kind in _FIXED:
        return _FIXED[kind]
    if kind not in _COUNTED:
        raise UsageError(f"the VNC client sends messages of type {kind}, which cannot be recorded")
    head, whole = _COUNTED[kind]
    return whole(data) if len(data) >= head else None


_COUNTED: dict[int, tuple[int, Callable[[bytes], int]]] = {
    2: (4, lambda data: 4 + 4 * int.from_bytes(data[2:4], "big")),  # encodings
    6: (8, lambda data: 8 + abs(int.from_bytes(data[4:8], "big", signed=True))),  # clipboard; negative: extended
    248: (9, lambda data: 9 + data[8]),  # fence
    251: (8, lambda data: 8 + 16 * data[6]),  # desktop size
    255: (2, lambda data: 12),  # QEMU's keys
}
"""Types of messages that say how long they are: after how many bytes, and how."""


def _without_extended_buttons(data: bytes) -> bytes:
    count = int.from_bytes(data[2:4], "big")
    kept = [one for one in struct.unpack(f">{count}i", data[4:]) if one != NO_EXTENDED_BUTTONS]
    return struct.pack(f">BxH{len(kept)}i", 2, len(kept), *kept)
