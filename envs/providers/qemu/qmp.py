"""QEMU's monitor: a few commands in one session, through the asyncio library `qemu.qmp`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskbench.envs.errors import EnvError, UsageError

SECONDS = 30.0

Command = tuple[str, Mapping[str, Any]]


class MonitorError(EnvError):
    """QEMU refused a command, or did not answer."""


class MonitorAbsentError(MonitorError):
    """The session did not begin, so no command was carried out."""


@dataclass(frozen=True)
class Event:
    """An event from QEMU: its name, and the values that its `status` may have (empty: any)."""

    name: str
    statuses: tuple[str, ...] = ()

    def is_this(self, data: Mapping[str, Any]) -> bool:
        """Whether the data of an event with this name match."""
        return not self.statuses or data.get("status") in self.statuses


def available() -> None:
    """Check that the library is installed.

    Raises:
        UsageError: it is not.
    """
    try:
        import qemu.qmp  # noqa: F401
    except ImportError:
        raise UsageError("virtual machines need the extra vm: pip install 'deskbench[vm]'") from None


def execute(
    path: Path, commands: Sequence[Command], awaited: Event | None = None, seconds: float = SECONDS
) -> list[Any]:
    """Run commands one after the other, and return their results.

    Args:
        path: the monitor's Unix socket.
        commands: names and arguments.
        awaited: an event to wait for; its data is appended to the results.
        seconds: for everything together.

    Raises:
        MonitorAbsentError: QEMU does not listen (yet); nothing was carried out.
        MonitorError: the message has what QEMU said.
    """
    from qemu.qmp import QMPError

    try:
        return asyncio.run(asyncio.wait_for(_converse(path, commands, awaited), seconds))
    except TimeoutError:
        raise MonitorError(f"QEMU's monitor did not answer within {seconds:g} s") from None
    except (QMPError, OSError, EOFError) as error:  # EOFError: QEMU ended midway
        raise MonitorError(f"QEMU's monitor: {error}") from error


async def _converse(path: Path, commands: Sequence[Command], awaited: Event | None) -> list[Any]:
    from qemu.qmp import ConnectError, EventListener, QMPClient

    client = QMPClient()
    client.logger.setLevel(logging.CRITICAL)  # failures are raised; the caller reports them
    try:
        await client.connect(str(path))
    except ConnectError as error:
        # Also covers an event that comes between the first command and its answer: the library mistakes it for the
        # answer.
        raise MonitorAbsentError(f"QEMU's monitor: {error}") from error
    listener = EventListener(awaited.name if awaited else ())
    try:
        with client.listen(listener):
            results = [await client.execute(name, dict(arguments)) for name, arguments in commands]
            if awaited is not None:
                results.append(await _event(client, listener, awaited))
            return results
    finally:
        with contextlib.suppress(Exception):  # QEMU is already gone, and the error was raised above
            await client.disconnect()


async def _event(client: Any, listener: Any, awaited: Event) -> Mapping[str, Any]:
    """The data of an event; raises if the connection ends first."""
    ended = asyncio.ensure_future(client.runstate_changed())
    try:
        while True:
            heard = asyncio.ensure_future(listener.get())
            await asyncio.wait({heard, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not heard.done():
                heard.cancel()
                raise MonitorError("QEMU's monitor: QEMU has ended")
            data: Mapping[str, Any] = heard.result().get("data", {})
            if awaited.is_this(data):
                return data
    finally:
        ended.cancel()
