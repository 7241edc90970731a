"""The reference arm: a small server that works like OSWorld's server in the machine.

It imitates osworld's desktop_env/server/main.py, read for facts and written anew. It uses Flask's threaded development
server. pyautogui takes a screenshot, the cursor is pasted at the pointer, and the PNG is written to a file and sent. An
action starts a new interpreter that imports pyautogui with its default pause of 0.1 s per call. The accessibility tree
is walked node by node in the process. Run it as `python reference.py PORT` with DISPLAY set.
"""

# This file runs alone in a desktop and is not imported: it needs only Flask, Pillow, pyautogui and Xlib.
import io
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp


def cursor_picture():
    """The cursor as an RGBA picture, from XFixes."""
    from PIL import Image
    from Xlib import display
    from Xlib.ext import xfixes  # noqa: F401

    connection = display.Display()
    connection.xfixes_query_version()
    found = connection.xfixes_get_cursor_image(connection.screen().root)
    pixels = b"".join(int(p & 0xFFFFFFFF).to_bytes(4, "little") for p in found.cursor_image)
    connection.close()
    return Image.frombytes("RGBA", (found.width, found.height), pixels, "raw", "BGRA")


def make_app():
    """The Flask application with the three measured routes."""
    import pyautogui
    from flask import Flask, jsonify, request, send_file
    from PIL import ImageGrab

    pyautogui.PAUSE = 0
    app = Flask(__name__)
    path = Path(mkdtemp(prefix="reference-")) / "screenshot.png"

    @app.get("/screenshot")
    def screenshot():
        picture = ImageGrab.grab()  # what pyautogui.screenshot() does where gnome-screenshot is installed
        cursor = cursor_picture()
        picture.paste(cursor, tuple(pyautogui.position()), cursor)
        picture.save(path)
        return send_file(io.BytesIO(path.read_bytes()), mimetype="image/png")

    @app.post("/execute")
    def execute():
        done = subprocess.run(request.json["command"], capture_output=True, text=True, timeout=120, check=False)
        return jsonify(status="success", output=done.stdout, error=done.stderr, returncode=done.returncode)

    @app.get("/platform")
    def platform():
        return "Linux"

    return app


if __name__ == "__main__":
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    make_app().run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
