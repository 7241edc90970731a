"""QEMU's monitor: a few commands in one conversation, by the library `qemu.qmp`, which is asyncio's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deskbench.envs.errors import EnvError, UsageError

SECONDS = 30.0

Command = tuple[str, Mapping[str, Any]]


class MonitorError(EnvError):
    """QEMU refused a command, or does not listen."""


def available() -> None:
    """See that the library is there.

    Raises:
        UsageError: it is not.
    """
    try:
        import qemu.qmp  # noqa: F401
    except ImportError:
        raise UsageError("virtual machines need the extra vm: pip install 'deskbench[vm]'") from None


def execute(path: Path, commands: Sequence[Command], seconds: float = SECONDS) -> list[Any]:
    """Carry out commands, one after the other, and return what they return.

    Args:
        path: the monitor's Unix socket.
        commands: names and arguments.
        seconds: for all of them.

    Raises:
        MonitorError: with what QEMU said.
    """
    from qemu.qmp import QMPError

    try:
        return asyncio.run(asyncio.wait_for(_converse(path, commands), seconds))
    except TimeoutError:
        raise MonitorError(f"QEMU's monitor did not answer within {seconds:g} s") from None
    except (QMPError, OSError, EOFError) as error:  # the last, when QEMU ends in the middle
        raise MonitorError(f"QEMU's monitor: {error}") from error


async def _converse(path: Path, commands: Sequence[Command]) -> list[Any]:
    from qemu.qmp import QMPClient

    client = QMPClient()
    await client.connect(str(path))
    try:
        return [await client.execute(name, dict(arguments)) for name, arguments in commands]
    finally:
        await client.disconnect()
