"""A step over the wire, on a real desktop: exactly once, in order, and honest about failures."""

import concurrent.futures
import io
import json
import threading
import uuid
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deskbench.envs import wait
from deskbench.envs.clients.http import Client, unix
from deskbench.envs.errors import GuestError
from deskbench.envs.providers.local import LocalDesktop
from deskbench.envs.server.http.limits import REMEMBERED, REMEMBERED_BYTES
from deskbench.envs.server.http.server import Request
from deskbench.envs.server.steps import Answers, Steps
from deskbench.envs.server.x11.desk import Desk
from deskbench.envs.server.x11.input import Input
from deskbench.envs.types import Action, Exec, Key, KeyDown, MouseDown, Move, Type, Wait, Zoom
from deskbench.envs.wire import Observe, StepReply, StepRequest

pytestmark = pytest.mark.desktop
PATIENCE = 20.0


def send(desktop: LocalDesktop, body: dict[str, object], path: str = "/v1/step") -> StepReply:
    reply, _ = StepReply.decode(desktop._send("POST", path, timeout=30, json=body))
    return reply


def typed(desktop: LocalDesktop) -> bytes:
    """The content of the terminal, once there is any."""
    found = wait.until(lambda: desktop.read_file("/tmp/typed"), timeout=PATIENCE)
    return found or b""


def test_a_request_that_is_sent_twice_is_carried_out_once(desktop: LocalDesktop) -> None:
    desktop.launch(["xterm", "-e", "sh", "-c", "stty raw -echo; cat > /tmp/typed"])
    body = StepRequest(uuid.uuid4().hex, (Type("once"),), Observe()).to_json()
    first, second = send(desktop, body), send(desktop, body)
    assert first == second
    assert typed(desktop) == b"once"


def test_an_answer_is_for_the_role_that_asked(desktop: LocalDesktop) -> None:
    """An agent that knows a control step's id, or the other way round, gets its own answer."""
    agent = Client("agent", token=desktop.tokens["agent_token"], role="agent", connect=unix(desktop.socket))
    body = StepRequest("guessed", (Exec("bash", "echo secret"),), Observe(policy="none")).to_json()
    assert b"secret" in desktop._send("POST", "/v1/step", timeout=30, json=body)
    harmless = {**body, "actions": []}
    assert b"secret" not in agent._send("POST", "/v1/step", timeout=30, json=harmless)
    assert b"secret" in desktop._send("POST", "/v1/step", timeout=30, json=harmless)
    with pytest.raises(GuestError, match="control token"):
        agent._send("POST", "/v1/step", timeout=30, json=body)


def test_answers_are_kept_within_their_number_and_size() -> None:
    answers, made = Answers(), []

    def make(identity: str, size: int = 1) -> bytes:
        def work() -> bytes:
            made.append(identity)
            return b"x" * size

        return answers.get(identity, work)

    for number in range(REMEMBERED + 5):
        make(str(number))
    make(str(REMEMBERED))
    assert len(made) == REMEMBERED + 5
    make("0")
    assert made[-1] == "0", "the oldest is not kept"
    for name in ("large", "larger", "largest"):
        make(name, REMEMBERED_BYTES // 2)
    make("larger")
    assert made[-1] == "largest"
    make("large")
    assert made[-1] == "large"


def test_an_answer_that_is_still_made_is_not_forgotten() -> None:
    answers, begun, end, made = Answers(), threading.Event(), threading.Event(), []

    def slow() -> bytes:
        made.append("slow")
        begun.set()
        end.wait(PATIENCE)
        return b"slow"

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        first = threads.submit(answers.get, "slow", slow)
        assert begun.wait(PATIENCE)
        for number in range(2 * REMEMBERED):
            answers.get(str(number), lambda: b"")
        second = threads.submit(answers.get, "slow", slow)
        end.set()
        assert first.result(PATIENCE) == second.result(PATIENCE) == b"slow"
    assert made == ["slow"]


def test_a_step_may_not_wait_for_ever_for_a_quiet_screen(desktop: LocalDesktop) -> None:
    for seconds in (-1.0, 1e6):
        with pytest.raises(GuestError, match="max_settle"):
            send(desktop, {"id": uuid.uuid4().hex, "actions": [], "observe": {"max_settle": seconds}})


def test_the_same_request_at_the_same_time_is_carried_out_once(desktop: LocalDesktop) -> None:
    desktop.launch(["xterm", "-e", "sh", "-c", "stty raw -echo; cat > /tmp/typed"])
    body = StepRequest(uuid.uuid4().hex, (Wait(0.3), Type("once")), Observe()).to_json()
    clients = [
        Client("second", token=desktop.tokens["agent_token"], role="agent", connect=unix(desktop.socket))
        for _ in range(4)
    ]
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(lambda c: c._send("POST", "/v1/step", timeout=30, json=body), clients))
    assert len(set(replies)) == 1
    assert typed(desktop) == b"once"


def test_a_failed_action_stops_the_rest_and_leaves_no_key_down(desktop: LocalDesktop) -> None:
    desktop.launch(["xterm", "-e", "sh", "-c", "stty raw -echo; cat > /tmp/typed"])
    seen = desktop.act([KeyDown("shift"), Move(x=99999, y=0), Type("never")])
    assert [result.ok for result in seen.results] == [True, False, False]
    assert "1280x800" in str(seen.results[1].error)
    desktop.act([Type("a")])
    assert typed(desktop) == b"a"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"id": "1", "actions": [{"type": "clik"}]}, "did you mean 'click'"),
        ({"id": "1", "actions": [{"type": "key", "keys": ["entr"]}]}, "did you mean 'enter'"),
        ({"id": "1", "actions": [], "observe": {"policy": "soon"}}, "policy is 'soon'"),
        ({"id": "", "actions": []}, "id must be"),
        ({"id": "1", "action": []}, "did you mean 'actions'"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(desktop: LocalDesktop, body: dict[str, object], said: str) -> None:
    with pytest.raises(GuestError, match="status 400") as caught:
        send(desktop, body)
    assert said in str(caught.value)


def test_code_needs_the_control_token(desktop: LocalDesktop) -> None:
    agent = Client("agent", token=desktop.tokens["agent_token"], role="agent", connect=unix(desktop.socket))
    with pytest.raises(GuestError, match="control token"):
        agent.act([Exec("bash", "id")])
    seen = desktop.act([Exec("python", "print(6 * 7)")])
    assert (seen.results[0].ok, seen.results[0].output) == (True, "42\n")
    with pytest.raises(GuestError, match="control token"):
        agent.read_file("/etc/passwd")
    with pytest.raises(GuestError, match="control token"):
        agent.run("id")


def test_a_zoom_changes_nothing_and_the_whole_screen_is_shown(desktop: LocalDesktop) -> None:
    before = desktop.act([Move(x=30, y=40)])
    seen = desktop.act([Zoom((0, 0, 100, 100))])
    assert (seen.results[0].ok, seen.results[0].output) == (True, None)
    assert seen.cursor == before.cursor == (30, 40)
    assert seen.screenshot and before.screenshot and seen.screenshot.size == before.screenshot.size == (1280, 800)


SHRINK = """
from Xlib import display
from Xlib.ext import randr
d = display.Display()
root = d.screen().root
found = root.xrandr_get_screen_resources()
randr.set_crtc_config(d, found.crtcs[0], found.config_timestamp, 0, 0, 0, randr.Rotate_0, [])
root.xrandr_set_screen_size(640, 480, 170, 127)
d.sync()
"""


def test_a_screen_that_a_program_has_shrunk_is_still_seen(desktop: LocalDesktop) -> None:
    """This must not end an episode: the rest of the screen is shown, in a frame of the same size."""
    done = desktop.run(["/usr/bin/python3", "-c", SHRINK])
    assert done.returncode == 0, done.stderr
    seen = desktop.act([Move(x=5, y=5)])
    assert seen.screenshot is not None and (seen.width, seen.height) == (1280, 800)
    picture = np.asarray(Image.open(io.BytesIO(seen.screenshot.png)).convert("RGB"))
    assert picture.shape == (800, 1280, 3)
    assert picture[:480, :640].any() and not picture[480:, 640:].any()


def test_the_cursors_hot_spot_is_the_pointers_place(desktop: LocalDesktop) -> None:
    """A terminal draws the text cursor around the point, not starting at it."""
    desktop.launch(["lxterminal"])
    away = desktop.act([Move(x=640, y=500)]).screenshot
    there = desktop.act([Move(x=640, y=400)]).screenshot
    assert away and there
    before, after = (np.asarray(Image.open(io.BytesIO(s.png)).convert("RGB")) for s in (away, there))
    rows, columns = np.nonzero((before[300:450] != after[300:450]).any(axis=2))
    assert abs((columns.min() + columns.max()) / 2 - 640) <= 2
    assert abs((rows.min() + rows.max()) / 2 + 300 - 400) <= 2
    assert rows.max() - rows.min() >= 8


def test_policies(desktop: LocalDesktop) -> None:
    assert desktop.act([Key(("shift",))], Observe(policy="immediate")).settled is None
    assert desktop.act([Key(("shift",))], Observe(policy="none")).screenshot is None
    fixed = desktop.act([Key(("shift",))], Observe(policy="fixed:0.3"))
    assert fixed.settle_ms >= 300


def test_a_screen_that_never_rests_is_reported_as_such(desktop: LocalDesktop) -> None:
    desktop.run('for i in $(seq 300); do xsetroot -solid "#$(printf %06x $((i*5000)))"; sleep 0.03; done &', shell=True)
    seen = desktop.act([Key(("shift",))], Observe(max_settle=1.0))
    assert seen.settled is False
    assert seen.settle_ms >= 1000


class HastyDesk(Desk):
    """Gives code only a moment."""

    def run_source(self, lang: str, source: str, timeout: float) -> str:
        return super().run_source(lang, source, 0.3)


class FaultyDesk(Desk):
    """Fails where it should run code."""

    def run_source(self, lang: str, source: str, timeout: float) -> str:
        raise RuntimeError("a fault of ours")


def step(desk: Desk, *actions: Action) -> StepReply:
    body = json.dumps(StepRequest(uuid.uuid4().hex, actions, Observe(policy="none")).to_json()).encode()
    reply, _ = StepReply.decode(Steps(desk).step(Request("POST", "/v1/step", {}, body)).body)
    return reply


def test_code_that_does_not_end_is_a_failed_action(xvfb: Any) -> None:
    [result, after] = step(HastyDesk(xvfb.display), Exec("bash", "sleep 100"), Move(x=1, y=1)).results
    assert not result.ok and "still running after 0.3 s" in str(result.error)
    assert not after.ok


def test_no_key_stays_down_after_a_fault_of_ours(xvfb: Any) -> None:
    desk = FaultyDesk(xvfb.display)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        step(desk, KeyDown("shift"), MouseDown(x=9, y=9), Exec("bash", "true"))
    assert isinstance(desk.input, Input)
    assert desk.input.held() == ((), ())
    assert step(desk, Move(x=1, y=1)).results[0].ok
