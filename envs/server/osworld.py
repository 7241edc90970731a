"""OSWorld's routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deskbench.envs.server import files
from deskbench.envs.server.http import HttpError, Request, Response, Route, json_response, text_response

if TYPE_CHECKING:
    from deskbench.envs.server.desk import Desk


def routes(desk: Desk) -> list[Route]:
    """The routes, bound to a desktop."""
    return [
        Route("POST", "/file", _file),
        Route("POST", "/setup/upload", _upload),
        Route(
            "POST",
            "/list_directory",
            lambda r: json_response({"directory_tree": files.listing(str(r.json().get("path", "")))}),
        ),
    ]


def _file(request: Request) -> Response:
    path = request.form().get("file_path")
    if not path:
        raise HttpError(400, "file_path is required")
    return Response(200, files.read(path))


def _upload(request: Request) -> Response:
    parts = request.multipart()
    if "file_path" not in parts or "file_data" not in parts:
        raise HttpError(400, "file_path and file_data are required")
    data = parts["file_data"][0]
    files.write(parts["file_path"][0].decode("utf-8", "replace"), data)
    return text_response(f"File Uploaded: {len(data)} bytes")
