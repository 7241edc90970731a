"""A vision endpoint for users who have none: chat completions on loopback, answered by OCR and a small policy.

It gets what any model gets: the messages with their pictures, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

from deskbench.agent.models.messages import PIXELS_PER_TOKEN, text_tokens
from deskbench.agent.ocr import policy as ocr_policy
from deskbench.agent.ocr.read import Reader
from deskbench.envs.errors import UsageError
from deskbench.envs.types import MAX_PIXELS

MODEL = "deskbench-ocr"
MAX_BODY = 100_000_000
_TASK = re.compile(r"(?:^|\n)#+\s*Task(?:\s+Instruction)?\s*:?\s*\n|\btask(?:\s+is)?:\s", re.IGNORECASE)
_DATA_URL = re.compile(r"data:image/(?:png|jpeg);base64,", re.IGNORECASE)


class BadRequest(ValueError):
    """The request cannot be answered; the message says why."""


@dataclass(frozen=True)
class Request:
    """The relevant parts of a request: the task, the newest picture, and our own earlier replies."""

    instruction: str
    picture: Image.Image
    earlier: tuple[str, ...]
    action_space: str
    tokens: int


def serve(host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Args:
        host: address to listen on.
        port: port to listen on; 0 picks a free one.
        ready: called with the base URL (`http://127.0.0.1:8123/v1`) once the server answers requests.

    Raises:
        UsageError: the extra `ocr` is not installed, or the server cannot listen on the address.
    """
    with make_server(host, port) as server:
        ready(base_url(server))
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            return


def make_server(host: str, port: int) -> ThreadingHTTPServer:
    """A server that is listening and has loaded its weights; the caller runs and closes it."""
    reader = Reader()
    try:
        return _Server((host, port), reader)
    except (OSError, OverflowError) as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error}") from None


def base_url(server: ThreadingHTTPServer) -> str:
    """The `base_url` for clients of this server."""
    host, port = server.server_address[:2]
    return f"http://{host!s}:{port}/v1"


def complete(body: Mapping[str, Any], reader: Reader) -> dict[str, Any]:
    """Answer one chat-completions request.

    Raises:
        BadRequest: it is not such a request, or has no readable picture.
    """
    request = read_request(body)
    lines = reader.read(request.picture)
    text = ocr_policy.answer(request.instruction, lines, request.earlier, request.picture.size, request.action_space)
    tokens = text_tokens(text)
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": request.tokens,
            "completion_tokens": tokens,
            "total_tokens": request.tokens + tokens,
        },
    }


def read_request(body: Mapping[str, Any]) -> Request:
    """Read the relevant parts of a request.

    Raises:
        BadRequest: it is not a chat-completions request, or has no readable picture.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise BadRequest("messages is not a list of objects")
    if body.get("stream"):
        raise BadRequest("streaming is not supported: leave `stream` out")
    urls = [(i, url) for i, message in enumerate(messages) for url in _pictures(message)]
    if not urls:
        raise BadRequest("no message has a picture (image_url), which this endpoint needs")
    shown, url = urls[-1]
    picture = _decode(url)
    texts = [_text(message) for message in messages]
    earlier = tuple(text for text, m in zip(texts[:shown], messages, strict=False) if m.get("role") == "assistant")
    system = "\n".join(text for text, m in zip(texts, messages, strict=True) if m.get("role") != "assistant")
    tokens = sum(map(text_tokens, texts)) + len(urls) * (picture.width * picture.height // PIXELS_PER_TOKEN)
    return Request(_instruction(texts, messages, shown), picture, earlier, _action_space(system), tokens)


def _instruction(texts: list[str], messages: list[dict[str, Any]], shown: int) -> str:
    """The task: the text after a heading or phrase that announces it, else the text with the newest picture."""
    for text, message in zip(texts, messages, strict=True):
        found = list(_TASK.finditer(text)) if message.get("role") in ("system", "user", "developer") else []
        if found:
            return text[found[-1].end() :].strip()
    return texts[shown].strip()


def _action_space(prompt: str) -> str:
    """The action space that the prompt asks for."""
    if "action_type" in prompt:
        return "computer_13"
    return "pyautogui" if "pyautogui" in prompt or '"type"' not in prompt else "actions"


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _text(message: Mapping[str, Any]) -> str:
    return "\n".join(p["text"] for p in _parts(message) if isinstance(p.get("text"), str))


def _pictures(message: Mapping[str, Any]) -> list[str]:
    urls = [p["image_url"] for p in _parts(message) if p.get("image_url")]
    return [str(url.get("url", "")) if isinstance(url, dict) else str(url) for url in urls]


def _decode(url: str) -> Image.Image:
    found = _DATA_URL.match(url)
    if found is None:
        raise BadRequest("pictures must be data URLs with a PNG or JPEG in base64")
    try:
        raw = base64.b64decode(url[found.end() :], validate=True)
        picture = Image.open(io.BytesIO(raw), formats=["PNG", "JPEG"])
        if picture.width * picture.height > MAX_PIXELS:
            raise BadRequest(f"a picture has {picture.width}x{picture.height} pixels: more than {MAX_PIXELS}")
        return picture.convert("RGB")
    except (binascii.Error, OSError, SyntaxError) as error:
        raise BadRequest(f"a picture cannot be read: {error}") from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], reader: Reader) -> None:
        self.reader = reader
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    """One connection; answers and errors have OpenAI's format."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # else headers and body become two packets, and the second waits 40 ms for an acknowledgement
    server: _Server

    def do_GET(self) -> None:
        """`/v1/models`."""
        if self.path.rstrip("/") == "/v1/models":
            self._send(
                HTTPStatus.OK, {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "deskbench"}]}
            )
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"no such path: {self.path}")

    def do_POST(self) -> None:
        """`/v1/chat/completions`."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Content-Length is required, up to {MAX_BODY}")
            return
        raw = self.rfile.read(int(length))
        if self.path.rstrip("/") != "/v1/chat/completions":
            self._refuse(HTTPStatus.NOT_FOUND, f"no such path: {self.path}")
            return
        try:
            self._send(HTTPStatus.OK, complete(_object(raw), self.server.reader))
        except BadRequest as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except Exception as error:  # noqa: BLE001  (a client must get an answer, whatever the OCR engine raises)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._send(status, {"error": {"message": message, "type": "invalid_request_error", "code": int(status)}})

    def _send(self, status: HTTPStatus, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep standard error for errors."""


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadRequest("the body is not a JSON object")
    return value
