"""The command `act`: one call of a tool over plain HTTP, for programs without MCP.

It uses only the standard library and imports nothing of deskbench, so that it starts at once in any environment.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

URL, TOKEN = "DESKBENCH_URL", "DESKBENCH_TOKEN"
"""Environment variables with the server's address and the episode's token."""
HELP = """\
Use the desktop. Every call takes one step, waits until the screen is quiet, writes a picture of it and prints its path.

act task                              print the task
act screenshot                        look
act left_click 100 200                also right_click, middle_click, double_click, triple_click, mouse_move
act left_click_drag 10 20 300 400     from the first point to the second
act type "some text"
act key ctrl+s                        also: act hold_key shift 2
act scroll 100 200 down 3
act wait 2
act zoom 0 0 400 300                  enlarge left, top, right, bottom
act done ["the answer"]               the task is done
act fail "why it cannot be done"
act ask "a question"
act '{"action": "left_click", "coordinate": [100, 200]}'

Exit status: 0 carried out, 1 refused or failed, 2 wrong usage, 3 the episode has ended.
"""
_POINTS = ("left_click", "right_click", "middle_click", "double_click", "triple_click", "mouse_move")
_ONE_WORD = {"done": "answer", "fail": "reason", "ask": "question"}


def send(url: str, token: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One request to the server of an episode; proxies are not used.

    Raises:
        OSError: the server cannot be reached.
        ValueError: it answers with an error; the message is what it says.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url + path, data, headers)) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        with error:
            raise ValueError(error.read(1000).decode("utf-8", "replace").strip()) from None


def call_of(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The tool and the arguments that a command line means.

    Raises:
        ValueError: it means nothing.
    """
    name, rest = words[0], list(words[1:])
    if name.startswith("{"):
        value = json.loads(name)
        return str(value.pop("tool", "computer")), value
    if name in _ONE_WORD:
        return name, {_ONE_WORD[name]: " ".join(rest)} if rest else {}
    return "computer", {"action": name, **_arguments(name, rest)}


def _arguments(name: str, rest: list[str]) -> dict[str, Any]:
    if name in _POINTS:
        return {"coordinate": _numbers(rest, 2)} if rest else {}
    if name == "left_click_drag":
        points = _numbers(rest, 4)
        return {"start_coordinate": points[:2], "coordinate": points[2:]}
    if name in ("type", "key"):
        return {"text": " ".join(rest)}
    if name == "hold_key":
        return {"text": rest[0], "duration": _numbers(rest[1:], 1)[0]} if rest else {}
    if name == "wait":
        return {"duration": _numbers(rest, 1)[0]} if rest else {}
    if name == "zoom":
        return {"region": _numbers(rest, 4)}
    if name == "scroll":
        return _scroll(rest)
    if rest:
        raise ValueError(f"{name} takes no words: {' '.join(rest)}")
    return {}


def _scroll(rest: list[str]) -> dict[str, Any]:
    if len(rest) not in (3, 4):
        raise ValueError("write: act scroll X Y DIRECTION [CLICKS]")
    found = {"coordinate": _numbers(rest[:2], 2), "scroll_direction": rest[2]}
    return {**found, "scroll_amount": _numbers(rest[3:], 1)[0]} if len(rest) > 3 else found


def _numbers(words: Sequence[str], count: int) -> list[int | float]:
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise ValueError(f"{count} numbers are needed, not: {' '.join(words)}")
    return [int(number) if number.is_integer() else number for number in numbers]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the call, print the answer; returns the exit status."""
    parser = argparse.ArgumentParser("act", epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("screen.png"), help="where to write the picture")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="ACTION …")
    given = parser.parse_args(arguments)
    url, token = os.environ.get(URL), os.environ.get(TOKEN)
    if not given.words or not url or not token:
        parser.print_help(sys.stderr)
        return 2
    try:
        if given.words == ["task"]:
            return _print(send(url, token, "/task")["prompt"])
        tool, values = call_of(given.words)
        answer = send(url, token, "/act", {"tool": tool, "arguments": values})
    except (ValueError, OSError) as error:
        _print(f"act: {error}", sys.stderr)
        return 2
    for picture in answer["pictures"]:
        given.out.write_bytes(base64.b64decode(picture))
        _print(f"picture: {given.out.absolute()}")
    _print(answer["text"])
    return 3 if answer["ended"] else int(answer["error"])


def _print(text: str, stream: Any = None) -> int:
    (stream or sys.stdout).write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
