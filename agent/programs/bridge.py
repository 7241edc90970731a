"""MCP over standard input and output: a process that a program starts and that passes calls on to the episode."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Mapping
from typing import Any

import anyio
from mcp.server.stdio import stdio_server

from deskbench.agent.programs.act import TOKEN, URL, send
from deskbench.agent.programs.desk import Answer
from deskbench.agent.programs.protocol import mcp_server


async def bridge(url: str, token: str) -> None:
    """Serve MCP on standard input and output until the input ends."""

    async def carry(name: str, arguments: Mapping[str, Any]) -> Answer:
        body = {"tool": name, "arguments": dict(arguments)}
        try:
            found = await anyio.to_thread.run_sync(send, url, token, "/act", body, abandon_on_cancel=True)
        except (OSError, ValueError) as error:
            return Answer(f"Nothing was done; the episode cannot be reached: {error}", error=True, ended=True)
        pictures = tuple(base64.b64decode(picture) for picture in found["pictures"])
        return Answer(found["text"], pictures, found["error"], found["ended"])

    server = mcp_server(carry)
    with (  # the descriptors, because `sys.stdout` may be a stream that redacts
        open(0, encoding="utf-8", errors="replace", closefd=False) as given,
        open(1, "w", encoding="utf-8", closefd=False) as told,
    ):
        async with stdio_server(anyio.wrap_file(given), anyio.wrap_file(told)) as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())


def main() -> int:
    """Serve the episode that the environment names; returns the exit status."""
    url, token = os.environ.get(URL), os.environ.get(TOKEN)
    if not url or not token:
        sys.stderr.write(f"the environment variables {URL} and {TOKEN} name the episode, and are not set\n")
        return 2
    anyio.run(bridge, url, token)
    return 0


if __name__ == "__main__":
    sys.exit(main())
