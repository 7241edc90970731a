"""Whatever a body contains, the answer says what is wrong, and the server keeps running: every route, over TCP."""

from __future__ import annotations

import http.client
import json
import re
import string
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.providers.local import LocalDesktop
from deskbench.envs.providers.pool import Pool

pytestmark = pytest.mark.desktop

FIELDS: dict[str, dict[str, Any]] = {
    "/v1/step": {"id": "1", "actions": [{"type": "move", "x": 1, "y": 1}], "observe": {"policy": "none"}},
    "/v1/observe": {"id": "1", "observe": {"policy": "immediate"}},
    "/v1/run": {"command": ["true"], "shell": False, "timeout": 5, "cwd": "/"},
    "/v1/launch": {"command": ["no-such-program"], "shell": False},
    "/v1/open": {"path": "~/no-such"},
    "/v1/window": {"action": "close", "name": "no such", "strict": False, "by_class": True},
    "/v1/tunnel": {"port": 1},
    "/execute": {"command": "true", "shell": True, "timeout": 5},
    "/setup/execute": {"command": ["true"], "shell": False},
    "/execute_with_verification": {
        "command": "true", "shell": False, "verification": {"window_exists": "x"}, "max_wait_time": 0.01,
        "check_interval": 0.01,
    },
    "/setup/execute_with_verification": {"command": "true", "verification": {}, "max_wait_time": 0.01},
    "/setup/launch": {"command": ["true"], "shell": False},
    "/run_python": {"code": "pass"},
    "/run_bash_script": {"script": "true", "timeout": 5, "working_dir": "/"},
    "/list_directory": {"path": "~"},
    "/file": {"file_path": "/etc/passwd"},
    "/setup/upload": {"file_path": "~/x", "file_data": "x"},
    "/setup/download_file": {"url": "http://127.0.0.1:1/", "path": "~/x"},
    "/setup/change_wallpaper": {"path": "/etc/passwd"},
    "/setup/activate_window": {"window_name": "no such", "strict": False, "by_class": False},
    "/setup/close_window": {"window_name": "no such"},
    "/window_size": {"app_class_name": "no such"},
    "/setup/open_file": {"path": "~/no-such"},
    "/desktop_path": {},
    "/wallpaper": {},
    "/screen_size": {},
    "/end_recording": {},
}  # fmt: skip
"""Every route with a body, and a valid body; except `/v1/relay`, which reads none, and `/start_recording`."""
KINDS = ("", "application/json", "multipart/form-data; boundary=b", "application/x-www-form-urlencoded", "text/plain")
HOSTILE_TEXT = [
    "", "\0", "a\0b", "/no/such\0", "\ud800", "~nobody/\0", "~" * 5000, "/" + "x" * 70_000, "'", '"', "\\", "$(",
    "\r\n",
    "nan", "inf", "-1", "1e400", "http://[", "file:///etc/passwd", "http://127.0.0.1:1/", "ftp://x", "/proc/self/mem",
    "/dev/zero", "/dev/full", "/proc/kmsg", "\U0010ffff", "../" * 300, "no-such-program",
]  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.sampled_from([2**63, -(2**64), 10**400, 0, -1, 65536]) | st.floats()
    | st.sampled_from(HOSTILE_TEXT) | st.text(string.punctuation, min_size=1, max_size=5).map(lambda text: "no" + text)
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ACTIONS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["move", "click", "drag", "scroll", "type", "key", "zoom", "key_up", "mouse_up", 7, None]
        )
    },
    optional=dict.fromkeys(("x", "y", "path", "text", "keys", "region", "button", "count", "dx", "modifiers"), VALUES),
)
OBSERVE = st.fixed_dictionaries(
    {"policy": st.sampled_from(["none", "immediate", "fixed:nan", "fixed:1e400", "fixed:-1", "soon", 7])},
    optional=dict.fromkeys(("screenshot", "unless", "max_settle", "accessibility", "other"), VALUES),
)
NESTED = {
    "actions": st.lists(ACTIONS, max_size=3) | VALUES,
    "observe": OBSERVE | VALUES,
    "verification": st.fixed_dictionaries({}, optional={"window_exists": VALUES, "command_success": VALUES}) | VALUES,
}
DEEP = [b"[" * 50_000, b'{"path":' * 500 + b"1" + b"}" * 500, b'{"command": ' + b"[" * 900 + b"]" * 900 + b"}"]
ODD = [
    b"", b"\0", b"\xff\xfe", b"null", b"[]", b'"x"', b"NaN", b'{"timeout": NaN, "command": "true"}',
    b'{"command": "true", "timeout": 1e400}', b'{"id": ' + b"9" * 5000 + b"}", b'{"path": "\\ud800"}', b"--b--",
    b"--b\r\n",
    b"--b\r\nContent-Disposition: form-data; name=\"file_path\"\r\n\r\n\0\r\n--b--",
    b"--b\r\nContent-Disposition: form-data; name=\"file_data\"\r\n\r\n", b"file_path=%00", b"file_path=%zz%ff",
    b"&" * 5000,
]  # fmt: skip


def as_parts(fields: dict[str, Any]) -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n{value}\r\n'
        if name == "file_data"
        else f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return ("".join(parts) + "--b--\r\n").encode("utf-8", "surrogatepass")


def as_form(fields: dict[str, Any]) -> bytes:
    return urlencode({name: str(value).encode("utf-8", "surrogatepass") for name, value in fields.items()}).encode()


@st.composite
def bodies(draw: st.DrawFn, path: str) -> tuple[str, bytes]:
    """A content type and a body: almost valid, of another type, or nonsense."""
    how = draw(st.integers(0, 5))
    if how == 0:
        return draw(st.sampled_from(KINDS)), draw(st.binary(max_size=50) | st.sampled_from(DEEP + ODD))
    changed = draw(st.lists(st.sampled_from(sorted(FIELDS[path])), unique=True)) if FIELDS[path] else []
    hostile = st.sampled_from(HOSTILE_TEXT) | VALUES
    fields = {**FIELDS[path], **{name: draw(NESTED.get(name, hostile)) for name in changed}}
    if how == 1:
        fields.pop(draw(st.sampled_from(sorted(fields)))) if fields else None
    write, kind = WRITERS.get(path, WRITERS[""]) if how > 1 else draw(st.sampled_from(list(WRITERS.values())))
    return kind, write(fields)


def as_json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


WRITERS: dict[str, tuple[Callable[[dict[str, Any]], bytes], str]] = {
    "": (as_json, KINDS[1]), "/setup/upload": (as_parts, KINDS[2]), "/file": (as_form, KINDS[3]),
    "/window_size": (as_form, KINDS[3]),
}  # fmt: skip
"""The format that a route reads; JSON by default."""


@pytest.fixture(scope="module")
def served(local_provider: Pool) -> Iterator[tuple[LocalDesktop, http.client.HTTPConnection]]:
    """A desktop, and a TCP connection to it."""
    desktop = local_provider.start(DesktopSpec())
    assert isinstance(desktop, LocalDesktop)
    connection = http.client.HTTPConnection(desktop.expose(), timeout=90)
    yield desktop, connection
    connection.close()
    local_provider.stop(desktop)


@pytest.mark.parametrize("path", FIELDS)
def test_a_malformed_body_is_answered(served: tuple[LocalDesktop, http.client.HTTPConnection], path: str) -> None:
    desktop, connection = served

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(bodies(path))
    def check(sent: tuple[str, bytes]) -> None:
        headers = {"Content-Type": sent[0], "Authorization": f"Bearer {desktop.tokens['control_token']}"}
        connection.request("POST", path, sent[1], headers)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status < 500 or is_a_failure_of_its_own(said), (answer.status, said[:500])

    check()
    assert desktop.health().features["exec"] == ""


def is_a_failure_of_its_own(said: bytes) -> bool:
    """Whether the request was tried and failed with the route's own message, and no error of the server leaked."""
    return not re.search(rb'Traceback|"error": "[A-Z]\w*(Error|Exception|Interrupt)\b', said)
