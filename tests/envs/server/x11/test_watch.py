"""An X server that is stopped, grabbed or gone: reported at once, and forgotten when it works again."""

from __future__ import annotations

import time

import pytest

from deskbench.envs import wait
from deskbench.envs.errors import GuestError
from deskbench.envs.providers.local import LocalDesktop
from deskbench.envs.server.x11.watch import ENDED, SILENT, STOPPED
from deskbench.envs.types import Key, Move, Wait
from deskbench.envs.wire import Observe

pytestmark = pytest.mark.desktop

PATIENCE = 30.0
AT_ONCE = 12.0
"""Seconds: less than a client waits for an answer, more than a busy machine needs for one."""
GRAB = """
import sys, time
from Xlib import display
d = display.Display()
d.grab_server()
d.sync()
open("/tmp/grabbed", "w").close()
time.sleep(1000)
"""


def refused(desktop: LocalDesktop) -> str:
    began = time.monotonic()
    with pytest.raises(GuestError) as caught:
        desktop.act([Move(x=5, y=5)], Observe(policy="immediate"))
    assert caught.value.status == 503
    assert time.monotonic() - began < AT_ONCE
    return str(caught.value)


def recovers(desktop: LocalDesktop) -> bool:
    def well() -> bool:
        try:
            return desktop.act([Move(x=9, y=9)], Observe(policy="immediate")).cursor == (9, 9)
        except GuestError:
            return False

    return bool(wait.until(well, timeout=PATIENCE))


def test_a_stopped_x_server_is_said_and_goes_on_when_it_may(desktop: LocalDesktop) -> None:
    desktop.run(["pkill", "-STOP", "Xvfb"])
    assert STOPPED in refused(desktop)
    began = time.monotonic()
    health = desktop.health()
    assert time.monotonic() - began < AT_ONCE
    assert {health.features[name] for name in ("screenshot", "input", "settle")} == {STOPPED}
    assert health.features["exec"] == ""
    with pytest.raises(GuestError, match=STOPPED):
        desktop.windows()
    desktop.run(["pkill", "-CONT", "Xvfb"])
    assert recovers(desktop)
    assert desktop.health().features["screenshot"] == ""
    assert desktop.observe(Observe(policy="settled")).screenshot


def test_a_step_during_which_the_x_server_is_stopped_is_given_up(desktop: LocalDesktop) -> None:
    desktop.run("(sleep 1; pkill -STOP Xvfb) &", shell=True)
    began = time.monotonic()
    with pytest.raises(GuestError, match=STOPPED):
        desktop.act([Wait(seconds=1.5), Key(("shift",))])
    assert time.monotonic() - began < AT_ONCE
    desktop.run(["pkill", "-CONT", "Xvfb"])
    assert recovers(desktop)


def test_a_client_that_holds_the_x_server_hangs_nobody(desktop: LocalDesktop) -> None:
    desktop.run("xsetroot -solid red", shell=True)
    desktop.write_file("/tmp/grab.py", GRAB.encode())
    desktop.run("python3 /tmp/grab.py & while [ ! -e /tmp/grabbed ]; do sleep 0.05; done", shell=True)
    with pytest.raises(GuestError, match=SILENT) as caught:
        desktop.windows()
    assert caught.value.status == 503
    assert SILENT in refused(desktop)
    assert desktop.run(["echo", "well"]).stdout == "well\n"
    desktop.run(["pkill", "-f", "grab.py"])
    assert recovers(desktop)


def test_an_x_server_that_has_ended_is_said(desktop: LocalDesktop) -> None:
    desktop.run(["pkill", "-KILL", "Xvfb"])
    assert ENDED in refused(desktop)
    assert desktop.health().features["screenshot"] == ENDED
