"""QEMU's monitor: a few commands in one conversation, by the library `qemu.qmp`, which is asyncio's."""

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
    """No conversation has begun: nothing was carried out."""


@dataclass(frozen=True)
class Event:
    """An event of QEMU's: its name, and which values its `status` may have (empty: any)."""

    name: str
    statuses: tuple[str, ...] = ()

    def is_this(self, data: Mapping[str, Any]) -> bool:
        """The data of an event of this name are those that are awaited."""
        return not self.statuses or data.get("status") in self.statuses


def available() -> None:
    """See that the library is there.

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
    """Carry out commands, one after the other, and return what they return.

    Args:
        path: the monitor's Unix socket.
        commands: names and arguments.
        awaited: the last thing that is returned is this event's data.
        seconds: for all of it.

    Raises:
        MonitorAbsentError: QEMU does not listen (yet); nothing was carried out.
        MonitorError: with what QEMU said.
    """
    from qemu.qmp import QMPError

    try:
        return asyncio.run(asyncio.wait_for(_converse(path, commands, awaited), seconds))
    except TimeoutError:
        raise MonitorError(f"QEMU's monitor did not answer within {seconds:g} s") from None
    except (QMPError, OSError, EOFError) as error:  # the last, when QEMU ends in the middle
        raise MonitorError(f"QEMU's monitor: {error}") from error


async def _converse(path: Path, commands: Sequence[Command], awaited: Event | None) -> list[Any]:
    from qemu.qmp import ConnectError, EventListener, QMPClient

    client = QMPClient()
    client.logger.setLevel(logging.CRITICAL)  # what fails is raised, and the caller says it
    try:
        await client.connect(str(path))
    except ConnectError as error:
        # Also an event that comes between the first question and its answer, which the library takes for the answer.
        raise MonitorAbsentError(f"QEMU's monitor: {error}") from error
    listener = EventListener(awaited.name if awaited else ())
    try:
        with client.listen(listener):
            results = [await client.execute(name, dict(arguments)) for name, arguments in commands]
            if awaited is not None:
                results.append(await _event(client, listener, awaited))
            return results
    finally:
        with contextlib.suppress(Exception):  # it has gone already, in some way that has been said above
            await client.disconnect()


async def _event(client: Any, listener: Any, awaited: Event) -> Mapping[str, Any]:
    """The data of an event, or an error when the connection ends before."""
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
