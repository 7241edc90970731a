"""A machine in memory that answers like OSWorld's server (facts: its 26 routes), including its mistakes.

Files and commands are real, in a folder; pictures, windows and input are not.
"""

import io
import json
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request, send_file
from PIL import Image
from werkzeug.serving import make_server

from deskbench.envs.clients.osworld import SOURCE

NAMESPACE = "https://accessibility.ubuntu.example.org/ns/state"
TREE = f'<desktop-frame xmlns:st="{NAMESPACE}"><application name="x"/></desktop-frame>'


def png(colour: str = "navy") -> bytes:
    """A screenshot."""
    made = io.BytesIO()
    Image.new("RGB", (640, 400), colour).save(made, "PNG")
    return made.getvalue()


@dataclass
class OsworldMachine:
    """Answers on a loopback port; `wrong` holds wrong answers for some routes.

    Attributes:
        home: the folder that acts as `~`.
        acted: the actions that were sent.
    """

    home: Path
    wrong: dict[str, Callable[[], Any]] = field(default_factory=dict)
    acted: list[str] = field(default_factory=list)
    filming: bool = False
    wallpaper: bytes | None = None

    def __post_init__(self) -> None:
        self._server = make_server("127.0.0.1", 0, self._app(), threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _app(self) -> Flask:
        app = Flask("osworld")
        for path, methods, answer in self._routes():
            app.add_url_rule(path, path, self._answering(path, answer), methods=methods)
        return app

    def _answering(self, path: str, answer: Callable[[], Any]) -> Callable[[], Any]:
        def now() -> Any:
            return self.wrong.get(path, answer)()

        return now

    def _routes(self) -> list[tuple[str, list[str], Callable[[], Any]]]:
        text = lambda said: lambda: said  # noqa: E731  (a table)
        return [
            ("/platform", ["GET"], text("Linux")),
            ("/screenshot", ["GET"], lambda: Response(png(), mimetype="image/png")),
            ("/accessibility", ["GET"], lambda: jsonify({"AT": TREE})),
            ("/cursor_position", ["GET"], lambda: jsonify([3, 4])),
            ("/terminal", ["GET"], lambda: jsonify({"output": None, "status": "success"})),
            ("/screen_size", ["POST"], lambda: jsonify({"width": 640, "height": 400})),
            ("/execute", ["POST"], self._execute),
            ("/file", ["POST"], self._file),
            ("/setup/upload", ["POST"], self._upload),
            ("/list_directory", ["POST"], self._list),
            ("/wallpaper", ["POST"], self._wallpaper),
            ("/setup/change_wallpaper", ["POST"], self._change_wallpaper),
            ("/start_recording", ["POST"], self._start),
            ("/end_recording", ["POST"], self._end),
            ("/setup/open_file", ["POST"], text("File opened and window activated successfully")),
            ("/setup/activate_window", ["POST"], text("Window activated successfully")),
            ("/setup/close_window", ["POST"], text("Window closed successfully.")),
        ]  # fmt: skip

    def _where(self, path: str) -> Path:
        return Path(os.path.expandvars(path.replace("~", str(self.home), 1) if path.startswith("~") else path))

    def _execute(self) -> Any:
        command = request.json["command"]
        if isinstance(command, list) and SOURCE in command:
            self.acted.append(command[-1])
            results = [{"ok": True, "error": None, "output": None} for _ in json.loads(command[-1])]
            return _ran(json.dumps(results) + "\n", "", 0)
        done = subprocess.run(
            command, shell=request.json.get("shell", False), capture_output=True, text=True, cwd=self.home, check=False,
            env={**os.environ, "HOME": str(self.home)},
        )  # fmt: skip
        return _ran(done.stdout, done.stderr, done.returncode)

    def _file(self) -> Any:
        path = self._where(request.form["file_path"])
        if not path.exists():
            return jsonify({"error": "File not found"}), 404
        try:
            return send_file(path, as_attachment=True)
        except OSError as error:  # a folder
            return jsonify({"error": f"Failed to serve file: {error}"}), 500

    def _upload(self) -> Any:
        path = self._where(request.form["file_path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        data = request.files["file_data"].read()
        path.write_bytes(data)
        return f"File Uploaded: {len(data)} bytes"

    def _list(self) -> Any:
        path = Path(request.json["path"])  # does not expand ~
        if not path.is_dir():
            return jsonify({"error": f"{path} is not a directory"}), 400
        children = [{"type": "file", "name": name.name} for name in path.iterdir()]
        return jsonify({"directory_tree": {"type": "directory", "name": path.name, "children": children}})

    def _wallpaper(self) -> Any:
        return ("not found", 404) if self.wallpaper is None else Response(self.wallpaper, mimetype="image/png")

    def _change_wallpaper(self) -> Any:
        path = self._where(request.json["path"])
        if not path.exists():
            return f"File not found: {path}", 404
        self.wallpaper = path.read_bytes()
        return "Wallpaper changed successfully"

    def _start(self) -> Any:
        if self.filming:
            return jsonify({"status": "error", "message": "Recording is already in progress."}), 400
        self.filming = True
        return jsonify({"status": "success", "message": "Started recording successfully."})

    def _end(self) -> Any:
        if not self.filming:
            return jsonify({"status": "error", "message": "No recording in progress to stop."}), 400
        self.filming = False
        return Response(b"\0\0\0\x18ftypmp42", mimetype="video/mp4")


def _ran(output: str, error: str, code: int) -> Any:
    return jsonify({"status": "success", "output": output, "error": error, "returncode": code})
