"""A server of a model that is small enough to be summed up by hand, with vLLM's answers about a prompt's tokens."""

import json
import math
import random
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

END = "<|im_end|>"
Slot = Mapping[str, float]
"""What may stand at one place of a reply, with its probability."""


@dataclass
class Model:
    """Says one token of each slot, in order, and ends; asked to read a reply, it says how likely each token was.

    Attributes:
        slots: places of its replies.
        prompts: `given` as vLLM does, `ignored` as servers do that do not know the fields, `refused` as OpenAI does.
        whole: it reads texts in other tokens than it says: a letter each.
        named: it says which tokens its prompts have (`return_token_ids`; older vLLM does not).
        begins: replies that it gives first, before it draws any.
        asked: requests so far.
        url: where it is served.
    """

    slots: Sequence[Slot]
    prompts: str = "given"
    whole: bool = False
    named: bool = True
    begins: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    draw: random.Random = field(default_factory=lambda: random.Random(1))

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and document for a request of chat completions."""
        wants = "prompt_logprobs" in body
        if wants and self.prompts == "refused":
            return 400, {"error": {"message": "Unknown parameter: 'prompt_logprobs'.", "type": "invalid_request_error"}}
        if wants and self.prompts == "given":
            return self._read(body)
        said = [self._say(slot, body.get("temperature", 1.0)) for slot in self.slots]
        return 200, self._document(said, body, "stop")

    def _read(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """As vLLM's protocol.py: the two switches exclude each other, and a stream has no prompt's tokens."""
        if body.get("add_generation_prompt", True) and body.get("continue_final_message"):
            return 400, {"error": {"message": "Cannot set both add_generation_prompt and continue_final_message"}}
        if body.get("stream"):
            return 400, {"error": {"message": "`prompt_logprobs` are not available when `stream=True`."}}
        most, text = body["prompt_logprobs"], body["messages"][-1]["content"]
        places: list[tuple[str, Slot]] = [("<|im_user|>", {}), *[("<|media_pad|>", {"<|media_pad|>": 1.0})] * 9]
        places += self._tokens(text)
        ids = [number(token) for token, _ in places]
        found = [None, *(top_of(token, slot, most) for token, slot in places[1:])]
        document = self._document([], {**body, "max_tokens": 0}, "length")
        document |= {"prompt_logprobs": found}
        return 200, document | ({"prompt_token_ids": ids} if self.named and body.get("return_token_ids") else {})

    def _tokens(self, text: str) -> list[tuple[str, Slot]]:
        if self.whole:
            return [(letter, {letter: 0.9, "?": 0.1}) for letter in text]
        found: list[tuple[str, Slot]] = []
        for slot in self.slots:
            token = max((token for token in slot if text.startswith(token)), key=len, default=text[:1])
            found.append((token, slot))
            text = text[len(token) :]
        return found + [(letter, {letter: 1.0}) for letter in text]

    def _say(self, slot: Slot, temperature: float) -> str:
        if temperature == 0:
            return max(slot, key=lambda token: slot[token])
        return self.draw.choices(list(slot), [share ** (1 / temperature) for share in slot.values()])[0]

    def _document(self, said: list[str], body: dict[str, Any], finish: str) -> dict[str, Any]:
        if self.begins and said:
            said = [self.begins.pop(0)]
        slots = [*self.slots[: len(said)], {END: 0.8, "\n": 0.2}]
        content = [
            {
                "token": token, "logprob": log(slot.get(token, 0)),
                "top_logprobs": [{"token": t, "logprob": log(p)} for t, p in ranked(slot, body.get("top_logprobs", 0))],
            }
            for token, slot in zip([*said, END], slots, strict=True)
        ]  # fmt: skip
        message = {"role": "assistant", "content": "".join(said)}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        usage = {"prompt_tokens": 1000, "completion_tokens": max(1, len(said))}
        return {
            "choices": [choice | ({"logprobs": {"content": content}} if body.get("logprobs") else {})],
            "usage": usage,
        }


def words(text: str, **choices: Slot) -> list[Slot]:
    """Slots from a text whose choices stand in it as `<name>`."""
    parts = re.split(r"<(\w+)>", text)
    return [choices[part] if index % 2 else {part: 1.0} for index, part in enumerate(parts) if part]


def divergence(ours: Model, theirs: Model) -> float:
    """KL between the models' replies, end included, in nats: choices of different slots do not hang together."""
    pairs = zip(ours.slots, theirs.slots, strict=True)
    return sum(share * math.log(share / q[token]) for p, q in pairs for token, share in p.items() if share)


def number(token: str) -> int:
    """A token's number in the vocabulary."""
    return int.from_bytes(token.encode(), "big") % 163_840


def top_of(token: str, slot: Slot, most: int) -> dict[str, dict[str, Any]]:
    """One place of a prompt: the most likely tokens, and the one that stands there."""
    top = ranked(slot, most)
    if token not in dict(top):
        top.append((token, slot.get(token, 0.0)))
    return {
        str(number(text)): {"logprob": log(share), "rank": rank, "decoded_token": text}
        for rank, (text, share) in enumerate(top, 1)
    }


def ranked(slot: Slot, most: int) -> list[tuple[str, float]]:
    """The most likely tokens."""
    return sorted(slot.items(), key=lambda item: -item[1])[:most]


def log(share: float) -> float:
    """A logarithm that JSON can hold, as vLLM clamps it."""
    return math.log(share) if share > 0 else -9999.0


@contextmanager
def served(model: Model) -> Iterator[Model]:
    """Serve a model at its `url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model.asked.append(body)
            status, document = model.answer(body)
            raw = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
