"""The tools as an MCP server, whatever the transport (Model Context Protocol, SDK `mcp` 2)."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Any

import mcp_types as types
from mcp.server.lowlevel.server import Server

from deskbench.agent.programs.desk import Answer
from deskbench.agent.programs.tools import TOOLS

NAME = "desktop"
"""The server's name; programs build the names of the tools from it (`mcp__desktop__computer`)."""
Carry = Callable[[str, Mapping[str, Any]], Awaitable[Answer]]
"""Carries out a call of a tool, by its name and arguments."""


def mcp_server(carry: Carry) -> Server[Any]:
    """An MCP server whose tools are carried out by `carry`."""

    async def list_tools(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(name=tool.name, description=tool.description, input_schema=dict(tool.schema))
                for tool in TOOLS
            ]
        )

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        return _result(await carry(params.name, params.arguments or {}))

    return Server(
        NAME,
        version=version("deskbench"),
        instructions="The screen, mouse and keyboard of a desktop. Begin with the action `screenshot`.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _result(answer: Answer) -> types.CallToolResult:
    pictures = [
        types.ImageContent(data=base64.b64encode(picture).decode(), mime_type="image/png")
        for picture in answer.pictures
    ]
    return types.CallToolResult(content=[*pictures, types.TextContent(text=answer.text)], is_error=answer.error)
