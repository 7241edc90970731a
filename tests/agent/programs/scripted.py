"""A model endpoint with a script, for coding agents: OpenAI's Responses, chat completions, and Anthropic's Messages.

Whatever is asked, it answers with the next call of the script, and with "Done." after the last. A call's tool is the
one offered whose name ends like the script's (`mcp__desktop__computer`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Calls = Sequence[tuple[str, dict[str, Any]]]
SOLVE: Calls = (
    ("computer", {"action": "screenshot"}),
    ("computer", {"action": "type", "text": "hello"}),
    ("computer", {"action": "key", "text": "ctrl+s"}),
    ("done", {}),
)


class Endpoint:
    """Serves a script on loopback until it is closed; `asked` has every request that offered the tools."""

    def __init__(self, calls: Calls = SOLVE) -> None:
        self.asked: list[dict[str, Any]] = []
        self._calls = list(calls)
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                path = self.path.partition("?")[0]
                if path.endswith("/completions") and not body.get("stream"):
                    self.send_json(_completion(endpoint.call_for(body)))
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for event, value in endpoint.answer(path, body):
                    name = f"event: {event}\n" if event else ""
                    self.wfile.write(
                        f"{name}data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode()
                    )

            def do_GET(self) -> None:
                self.send_json({"object": "list", "data": [{"id": "scripted", "object": "model"}], "models": []})

            def send_json(self, value: Any) -> None:
                body = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The events of one answer."""
        call = self.call_for(body)
        if path.endswith("/responses"):
            yield from _responses(call)
        elif path.endswith("/messages"):
            yield from _messages(call)
        else:
            yield from _chat(call)

    def call_for(self, body: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """The next call of the script, or None if a request is not for it."""
        with self._lock:
            if not self._calls:
                return None
            name = _offered(body.get("tools") or [], self._calls[0][0])
            if name is None:  # a title, a summary, a check of the connection
                return None
            self.asked.append(body)
            return name, self._calls.pop(0)[1]


def _offered(tools: list[dict[str, Any]], wanted: str) -> str | None:
    for tool in tools:
        name = tool.get("name") or tool.get("function", {}).get("name") or ""
        if tool.get("type") == "namespace":
            inner = _offered(tool.get("tools", []), wanted)
            if inner is not None and "desktop" in name:
                return f"{name}|{inner}"
        elif name == wanted or name.endswith((f"_{wanted}", f"-{wanted}")):
            return str(name)
    return None


def _responses(call: tuple[str, dict[str, Any]] | None) -> Iterator[tuple[str, Any]]:
    if call is None:
        text = {"type": "output_text", "text": "Done.", "annotations": []}
        item: dict[str, Any] = {
            "type": "message",
            "id": "m",
            "role": "assistant",
            "status": "completed",
            "content": [text],
        }
    else:
        space, bar, name = call[0].rpartition("|")
        item = {"type": "function_call", "id": f"f{id(call)}", "call_id": f"c{id(call)}", "status": "completed",
                "name": name, "arguments": json.dumps(call[1]), **({"namespace": space} if bar else {})}  # fmt: skip
    usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12, "input_tokens_details": {"cached_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
    done = {"id": "r", "object": "response", "status": "completed", "output": [item], "usage": usage}
    yield (
        "response.created",
        {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}},
    )
    yield "response.output_item.done", {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield "response.completed", {"type": "response.completed", "response": done}


def _messages(call: tuple[str, dict[str, Any]] | None) -> Iterator[tuple[str, Any]]:
    block: dict[str, Any] = {"type": "text", "text": ""}
    delta: dict[str, Any] = {"type": "text_delta", "text": "Done."}
    if call is not None:
        block = {"type": "tool_use", "id": f"toolu_{id(call)}", "name": call[0], "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call[1])}
    usage = {"input_tokens": 10, "output_tokens": 1}
    head: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted", "content": [],
                            "stop_reason": None, "stop_sequence": None, "usage": usage}  # fmt: skip
    reason = {"stop_reason": "end_turn" if call is None else "tool_use", "stop_sequence": None}
    for event, value in (
        ("message_start", {"message": head}),
        ("content_block_start", {"index": 0, "content_block": block}),
        ("content_block_delta", {"index": 0, "delta": delta}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": reason, "usage": {"output_tokens": 2}}),
        ("message_stop", {}),
    ):
        yield event, {"type": event, **value}


def _said(call: tuple[str, dict[str, Any]] | None) -> dict[str, Any]:
    if call is None:
        return {"role": "assistant", "content": "Done."}
    function = {"name": call[0], "arguments": json.dumps(call[1])}
    made = {"index": 0, "id": f"call_{id(call)}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [made]}


def _completion(call: tuple[str, dict[str, Any]] | None) -> dict[str, Any]:
    choice = {"index": 0, "message": _said(call), "finish_reason": "stop" if call is None else "tool_calls"}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "scripted", "choices": [choice],
            "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}}  # fmt: skip


def _chat(call: tuple[str, dict[str, Any]] | None) -> Iterator[tuple[str, Any]]:
    for delta, reason in ((_said(call), None), ({}, "stop" if call is None else "tool_calls")):
        yield "", {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
                   "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}  # fmt: skip
    yield "", {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "choices": [],
               "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}}  # fmt: skip
    yield "", "[DONE]"
