"""OSWorld's routes, with the paths, parameters and answers of its in-VM server.

We fix what that server gets wrong: the cursor is drawn at its hot-spot, requests share no file, nothing waits forever,
and an error becomes an answer. We keep the quirks that its clients rely on: a non-zero exit status still gives 200, and
one route says `return_code` where the others say `returncode`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deskbench.envs import wait
from deskbench.envs.server import commands, fetch, files
from deskbench.envs.server.commands import CommandTimeout
from deskbench.envs.server.http.limits import MAX_SECONDS
from deskbench.envs.server.http.server import (
    HttpError,
    Request,
    Response,
    Route,
    flag,
    json_response,
    number,
    text,
    text_response,
)
from deskbench.envs.server.recording import RecordingError
from deskbench.envs.server.x11 import wallpaper

if TYPE_CHECKING:
    from deskbench.envs.server.desk import Desk

COMMAND_SECONDS = 120.0
PYTHON_SECONDS = 30.0
SCRIPT_SECONDS = 100.0
PROOF_SECONDS = 5.0
OPEN_SECONDS = 30.0
TREE_SECONDS = 30.0
"""OSWorld's server has no limit here; its client waits forever."""


def routes(desk: Desk) -> list[Route]:
    """All of OSWorld's routes, bound to a desktop."""
    return [*_looking(desk), *_running(desk), *_files(desk), *_windows(desk), *_recording(desk)]


def _looking(desk: Desk) -> list[Route]:
    def screenshot(request: Request) -> Response:
        return Response(200, desk.screen.capture().png, "image/png")

    def accessibility(request: Request) -> Response:
        problems: list[str] = []
        tree, _ = desk.tree(TREE_SECONDS, problems)
        if tree is None:
            return json_response({"status": "error", "message": "; ".join(problems)}, 500)
        return json_response({"AT": tree})

    def terminal(request: Request) -> Response:
        problems: list[str] = []
        shown = desk.terminal(problems)
        if problems:
            return json_response({"status": "error", "message": "; ".join(problems)}, 500)
        return json_response({"output": shown, "status": "success"})

    def screen_size(request: Request) -> Response:
        return json_response({"width": desk.screen.width, "height": desk.screen.height})

    def cursor(request: Request) -> Response:
        return json_response(list(desk.screen.cursor()))

    return [
        Route("GET", "/screenshot", screenshot, "agent", desk.watch),
        Route("GET", "/accessibility", accessibility, "agent"),
        Route("GET", "/terminal", terminal, "agent"),
        Route("POST", "/screen_size", screen_size, "agent"),
        Route("GET", "/cursor_position", cursor, "agent", desk.watch),
        Route("GET", "/platform", lambda r: text_response(desk.health().platform), "agent"),
    ]


def _running(desk: Desk) -> list[Route]:
    def verified(request: Request) -> Response:
        return _execute_with_verification(desk, request)

    return [
        Route("POST", "/execute", _execute),
        Route("POST", "/setup/execute", _execute),
        Route("POST", "/execute_with_verification", verified, watch=desk.watch),
        Route("POST", "/setup/execute_with_verification", verified, watch=desk.watch),
        Route("POST", "/setup/launch", _launch),
        Route("POST", "/run_python", _run_python),
        Route("POST", "/run_bash_script", _run_bash_script),
    ]


def _execute(request: Request) -> Response:
    body = request.json()
    return _status(lambda: _run(body, number(body, "timeout", COMMAND_SECONDS, MAX_SECONDS)))


def _run(body: dict[str, Any], seconds: float) -> dict[str, Any]:
    shell = flag(body, "shell")
    done = commands.run(commands.argv(body.get("command", "" if shell else []), shell=shell), timeout=seconds)
    return {"status": "success", "output": done.stdout, "error": done.stderr, "returncode": done.returncode}


def _status(work: Callable[[], dict[str, Any]]) -> Response:
    """Answer 200 with the result, 500 if the work failed, or 400 if the request is wrong."""
    try:
        return json_response(work())
    except HttpError as error:
        return json_response({"status": "error", "message": str(error)}, error.status)
    except (OSError, CommandTimeout) as error:
        return json_response({"status": "error", "message": str(error)}, 500)


def _execute_with_verification(desk: Desk, request: Request) -> Response:
    body = request.json()
    wanted = body.get("verification") or {}
    if not isinstance(wanted, dict):
        raise HttpError(400, "verification is not a JSON object")
    limit, interval = (number(body, *rest, MAX_SECONDS) for rest in (("max_wait_time", 10), ("check_interval", 1)))
    title, proof = text(wanted, "window_exists", "").lower(), text(wanted, "command_success", "")

    def verified() -> bool:
        there = not title or any(title in w["title"].lower() for w in desk.windows.listing())
        return there and (not proof or _succeeds(proof))

    def work() -> dict[str, Any]:
        began = time.monotonic()
        result = _run(body, COMMAND_SECONDS)
        if not wanted:
            return {**result, "wait_time": 0.0}
        if wait.until(verified, timeout=limit, interval=interval, max_interval=interval):
            return {**result, "verification": "passed", "wait_time": time.monotonic() - began}
        raise _NotVerified

    try:
        return _status(work)
    except _NotVerified:
        nothing = {"status": "verification_failed", "verification": "failed", "output": "", "error": ""}
        return json_response({**nothing, "returncode": "", "wait_time": limit}, 500)


class _NotVerified(Exception):
    """The command ran, but the verification failed."""


def _succeeds(proof: str) -> bool:
    try:
        return commands.run(commands.argv(proof, shell=True), timeout=PROOF_SECONDS).returncode == 0
    except commands.CommandTimeout:
        return False


def _launch(request: Request) -> Response:
    body = request.json()
    command = body.get("command", [])

    def work() -> Response:
        commands.spawn(commands.argv(command, shell=flag(body, "shell")))
        said = command if isinstance(command, str) else " ".join(map(str, command))
        return text_response(f"{said} launched successfully")

    try:
        return work()
    except HttpError as error:
        return json_response({"status": "error", "message": str(error)}, error.status)
    except OSError as error:
        return json_response({"status": "error", "message": str(error)}, 500)


def _run_python(request: Request) -> Response:
    code = text(request.json(), "code", "")
    if not code:
        return json_response({"status": "error", "message": "Code not supplied!"}, 400)
    try:
        done = commands.run_source("python", code, PYTHON_SECONDS)
    except CommandTimeout as error:
        failed = {"status": "error", "message": f"Execution timeout: {error}", "error": "TimeoutExpired"}
        return json_response({**failed, "need_more": False, "output": None}, 500)
    return json_response(
        {
            "status": "success" if done.returncode == 0 else "error",
            "message": done.stdout + done.stderr,
            "need_more": False,
            "output": done.stdout,
            "error": done.stderr,
            "return_code": done.returncode,
        }
    )


def _run_bash_script(request: Request) -> Response:
    body = request.json()
    script, folder = text(body, "script", ""), commands.expand(text(body, "working_dir", ""))
    seconds = number(body, "timeout", SCRIPT_SECONDS, MAX_SECONDS)

    def failed(message: str, status: int) -> Response:
        return json_response({"status": "error", "output": message, "error": "", "returncode": -1}, status)

    if not script:
        return failed("Script not supplied!", 400)
    if folder and not files.is_folder(folder):
        return failed(f"Working directory does not exist: {folder}", 400)
    try:
        done = commands.run_source("bash", script, seconds, cwd=folder or None, merged=True)
    except (CommandTimeout, OSError) as error:
        return failed(str(error), 500)
    status = "success" if done.returncode == 0 else "error"
    return json_response({"status": status, "output": done.stdout, "error": "", "returncode": done.returncode})


def _files(desk: Desk) -> list[Route]:
    def listing(request: Request) -> Response:
        path = text(request.json(), "path", "")
        if not path:
            raise HttpError(400, "path is required")
        return json_response({"directory_tree": files.listing(path)})

    def desktop_path(request: Request) -> Response:
        path = Path.home() / "Desktop"
        if not files.is_folder(str(path)):
            return json_response({"error": f"no such folder: {path}"}, 404)
        return json_response({"desktop_path": str(path)})

    return [
        Route("POST", "/file", _file),
        Route("POST", "/setup/upload", _upload),
        Route("POST", "/setup/download_file", _download),
        Route("POST", "/list_directory", listing),
        Route("POST", "/desktop_path", desktop_path),
        Route("POST", "/wallpaper", _wallpaper),
        Route("POST", "/setup/change_wallpaper", lambda r: _change_wallpaper(desk, r), watch=desk.watch),
    ]


def _file(request: Request) -> Response:
    path = text(request.form(), "file_path", "")
    if not path:
        raise HttpError(400, "file_path is required")
    return Response(200, files.read(path), headers={"Content-Disposition": "attachment"})


def _upload(request: Request) -> Response:
    parts = request.multipart()
    if "file_path" not in parts or "file_data" not in parts:
        raise HttpError(400, "file_path and file_data are required")
    data = parts["file_data"][0]
    files.write(text({"file_path": parts["file_path"][0].decode("utf-8", "replace")}, "file_path"), data)
    return text_response(f"File Uploaded: {len(data)} bytes")


def _download(request: Request) -> Response:
    body = request.json()
    url, path = text(body, "url", ""), text(body, "path", "")
    if not url or not path:
        return text_response("Path or URL not supplied!", 400)
    try:
        data = fetch.fetch(url)
    except OSError as error:
        return text_response(f"Failed to download {url}. No retries left. Error: {error}", 500)
    files.write(path, data)
    return text_response(f"File downloaded successfully: {len(data)} bytes")


def _wallpaper(request: Request) -> Response:
    found = wallpaper.current()
    return text_response("not found", 404) if found is None else Response(200, found, "image/png")


def _change_wallpaper(desk: Desk, request: Request) -> Response:
    path = text(request.json(), "path", "")
    if not path:
        return text_response("Path not supplied!", 400)
    where = commands.expand(path)
    if not files.is_file(where):
        return text_response(f"File not found: {path}", 404)
    try:
        wallpaper.change(where, desk.screen.width, desk.screen.height)
    except HttpError as error:
        return text_response(f"Failed to change wallpaper. Error: {error}", 500)
    return text_response("Wallpaper changed successfully")


def _windows(desk: Desk) -> list[Route]:
    def act(work: Callable[..., None], done: str) -> Callable[[Request], Response]:
        def handler(request: Request) -> Response:
            body = request.json()
            name = text(body, "window_name", "")
            if not name:
                return text_response("window_name required", 400)
            try:
                work(name, strict=flag(body, "strict"), by_class=flag(body, "by_class"))
            except HttpError as error:
                return text_response(str(error), error.status)
            return text_response(done)

        return handler

    def open_file(request: Request) -> Response:
        path = text(request.json(), "path", "")
        if not path:
            return text_response("Path not supplied!", 400)
        return _open(desk, path)

    return [
        Route(
            "POST",
            "/setup/activate_window",
            act(desk.windows.activate, "Window activated successfully"),
            watch=desk.watch,
        ),
        Route("POST", "/setup/close_window", act(desk.windows.close, "Window closed successfully."), watch=desk.watch),
        Route("POST", "/window_size", lambda r: _window_size(desk, r), watch=desk.watch),
        Route("POST", "/setup/open_file", open_file, watch=desk.watch),
    ]


def _window_size(desk: Desk, request: Request) -> Response:
    name = text(request.form(), "app_class_name", "")
    if not name:
        return json_response({"error": "app_class_name is required"}, 400)
    for window in desk.windows.listing():
        if name.lower() in window["wm_class"].lower().split("."):
            return json_response({"width": window["width"], "height": window["height"]})
    return json_response({"error": f"no window of the class {name}"}, 404)


def _open(desk: Desk, path: str) -> Response:
    """Open a file. OSWorld waits half an hour for a title with the file's name; any new window or title does here."""
    from deskbench.envs.server.launch import show, start

    where = commands.expand(path)
    there = files.exists(where)
    if not there and not commands.installed(where):
        return text_response(f"Application/file not found: {path}", 404)
    try:
        if there:
            show(desk, where)
        else:
            start(desk, [where])
    except HttpError as error:
        return text_response(f"Failed to open {path}. Error: {error}", 500)
    return text_response("File opened and window activated successfully")


def _recording(desk: Desk) -> list[Route]:
    def begin(request: Request) -> Response:
        if desk.recorder.running:
            return json_response({"status": "error", "message": "Recording is already in progress."}, 400)
        try:
            desk.recorder.start()
        except RecordingError as error:
            return json_response({"status": "error", "message": str(error)}, 500)
        return json_response({"status": "success", "message": "Started recording successfully."})

    def end(request: Request) -> Response:
        if not desk.recorder.running:
            return json_response({"status": "error", "message": "No recording in progress to stop."}, 400)
        try:
            return Response(200, desk.recorder.end(), "video/mp4")
        except RecordingError as error:
            return json_response({"status": "error", "message": str(error)}, 500)

    return [Route("POST", "/start_recording", begin, watch=desk.watch), Route("POST", "/end_recording", end)]
