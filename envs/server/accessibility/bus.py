"""Many calls at once on the accessibility bus.

One call at a time costs a round trip through two processes each; a screen has hundreds of nodes with several
properties each. Here all calls of a phase are written before the first answer is awaited, so that every application
answers at its own speed and one that hangs costs its own nodes only.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

WINDOW = 400
"""Calls under way at most: enough to keep every application busy, little enough for the bus's buffers."""
_READ = 1 << 18


class AccessibilityError(RuntimeError):
    """The accessibility bus cannot be had."""


@dataclass(frozen=True)
class Call:
    """One method call; `key` names it in the answers."""

    key: Any
    bus: str
    path: str
    interface: str
    member: str
    signature: str = ""
    body: tuple[Any, ...] = ()


class Bus:
    """A connection to the accessibility bus; used by one thread at a time.

    Raises:
        AccessibilityError: there is no session bus or no accessibility bus.
    """

    def __init__(self) -> None:
        from jeepney import DBusAddress, new_method_call
        from jeepney.io.blocking import open_dbus_connection

        try:
            session = open_dbus_connection("SESSION")
            try:
                where = DBusAddress("/org/a11y/bus", "org.a11y.Bus", "org.a11y.Bus")
                reply = session.send_and_get_reply(new_method_call(where, "GetAddress"), timeout=5)
                address = str(reply.body[0])
            finally:
                session.close()
            self._connection = open_dbus_connection(address)
        except (OSError, KeyError, ValueError, IndexError) as error:
            raise AccessibilityError(f"no accessibility bus: {type(error).__name__}: {error}") from None
        self._socket = self._connection.sock
        self._serial = 1000

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ask(self, calls: Iterable[Call], deadline: float, slow: set[str]) -> dict[Any, Any]:
        """Carry out calls side by side; the answers' bodies by key, errors and missing answers left out.

        Args:
            calls: to applications not in `slow`; those are not asked again.
            deadline: monotonic seconds after which no answer is awaited.
            slow: gets the bus names that had not answered by then.
        """
        waiting: dict[int, Call] = {}
        answers: dict[Any, Any] = {}
        todo = iter([c for c in calls if c.bus not in slow])
        exhausted = False
        while True:
            outgoing = bytearray()
            while not exhausted and len(waiting) < WINDOW:
                call = next(todo, None)
                if call is None:
                    exhausted = True
                    break
                self._serial += 1
                outgoing += _message(call, self._serial)
                waiting[self._serial] = call
            if not waiting:
                return answers
            self._socket.sendall(outgoing)
            if not self._collect(waiting, answers, deadline):
                slow.update(call.bus for call in waiting.values())
                return answers

    def _collect(self, waiting: dict[int, Call], answers: dict[Any, Any], deadline: float) -> bool:
        """Take in what has arrived; False when the deadline came first."""
        from jeepney import HeaderFields, MessageType

        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._socket], [], [], left)[0]:
            return False
        data = self._socket.recv(_READ)
        if not data:
            raise AccessibilityError("the accessibility bus hung up")
        parser = self._connection.parser
        parser.add_data(data)
        while (message := parser.get_next_message()) is not None:
            serial = message.header.fields.get(HeaderFields.reply_serial)
            call = waiting.pop(serial, None) if serial is not None else None
            if call is not None and message.header.message_type is MessageType.method_return:
                answers[call.key] = message.body
        return True


def _message(call: Call, serial: int) -> bytes:
    from jeepney import DBusAddress, new_method_call

    where = DBusAddress(call.path, call.bus, call.interface)
    return bytes(new_method_call(where, call.member, call.signature or None, call.body).serialise(serial))


def session_bus_there() -> bool:
    """There is an address to try."""
    return bool(os.environ.get("DBUS_SESSION_BUS_ADDRESS"))
