"""A connection to the X server for input: XTEST events, the XKB requests that python-xlib lacks, window pings."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from Xlib import X, Xatom, display, error
from Xlib.ext import res, xtest
from Xlib.protocol import event, rq

from deskbench.envs import wait
from deskbench.envs.server.x11 import proc
from deskbench.envs.server.x11 import xkb as input_xkb
from deskbench.envs.server.x11.keysyms import InputError
from deskbench.envs.server.x11.watch import server_process
from deskbench.envs.server.x11.xkb import CORE_KEYBOARD

_KEYBOARD_EVENTS = 0b11
"""XkbNewKeyboardNotify and XkbMapNotify."""
_WHEELS = frozenset([4, 5, 6, 7])
_MAX_PRESSES = 12
_MANAGER_TIMEOUT = 3.0
_BLIND_WAIT = 0.05
"""Seconds to wait if nothing is known about the client. Looking up new keysyms takes it about 20 ms."""
_MAX_CROWD = 6.0
"""The most times that we are more patient on a crowded machine."""
_ROUNDS = 3
"""How many looks in a row must find that a process has not run in between."""
_FAKE_INPUT = struct.Struct("=BBHBBHIIQhhQ")
"""XTestFakeInput: opcode, 2, length in words, type, detail, pad, time, root, pad, x, y, pad."""


class _UseExtension(rq.ReplyRequest):  # type: ignore[misc]
    _request = rq.Struct(rq.Card8("opcode"), rq.Opcode(0), rq.RequestLength(), rq.Card16("major"), rq.Card16("minor"))
    _reply = rq.Struct(
        rq.ReplyCode(), rq.Card8("supported"), rq.Card16("sequence_number"), rq.ReplyLength(), rq.Pad(24)
    )


class _SelectEvents(rq.Request):  # type: ignore[misc]
    _request = rq.Struct(
        rq.Card8("opcode"), rq.Opcode(1), rq.RequestLength(), rq.Card16("device"), rq.Card16("affect_which"),
        rq.Card16("clear"), rq.Card16("select_all"), rq.Card16("affect_map"), rq.Card16("map"),
    )  # fmt: skip


class _GetState(rq.ReplyRequest):  # type: ignore[misc]
    _request = rq.Struct(rq.Card8("opcode"), rq.Opcode(4), rq.RequestLength(), rq.Card16("device"), rq.Pad(2))
    _reply = rq.Struct(
        rq.ReplyCode(), rq.Card8("device"), rq.Card16("sequence_number"), rq.ReplyLength(), rq.Card8("mods"),
        rq.Card8("base_mods"), rq.Card8("latched_mods"), rq.Card8("locked_mods"), rq.Card8("group"),
        rq.Card8("locked_group"), rq.Pad(18),
    )  # fmt: skip


class _LatchLockState(rq.Request):  # type: ignore[misc]
    _request = rq.Struct(
        rq.Card8("opcode"), rq.Opcode(5), rq.RequestLength(), rq.Card16("device"), rq.Card8("affect_mod_locks"),
        rq.Card8("mod_locks"), rq.Bool("lock_group"), rq.Card8("group_lock"), rq.Card8("affect_mod_latches"),
        rq.Pad(2), rq.Bool("latch_group"), rq.Card16("group_latch"),
    )  # fmt: skip


class _Ready:
    """A request that is already packed: python-xlib takes 25 us to pack one, which adds up in a long text."""

    __slots__ = ("_binary", "_serial")

    def __init__(self, binary: bytes) -> None:
        self._binary = binary
        self._serial: int | None = None


class Connection:
    """A connection to a display. Only one thread at a time may use it.

    Attributes:
        mapping_changed: the keyboard mapping may have changed since it was last read.

    Raises:
        InputError: the display cannot be opened, or lacks XTEST or XKB.
    """

    def __init__(self, display_name: str | None) -> None:
        try:
            self.display: Any = display.Display(display_name)
        except (error.DisplayError, error.XError, OSError) as cause:
            raise InputError(f"the display {display_name!r} cannot be opened: {cause}") from None
        for name in ("XTEST", "XKEYBOARD"):
            if not self.display.has_extension(name) and not self.display.query_extension(name).present:
                raise InputError(f"the display {display_name!r} has no {name} extension")
        self.root: Any = self.display.screen().root
        self._server = server_process(self.display.display.socket)
        self.mapping_changed = True
        self._xtest = self.display.query_extension("XTEST").major_opcode
        # A client that grabs the server must not block the input that would make it let go.
        xtest.grab_control(self.display, True)
        self._start_xkb()
        # Answers to pings arrive at the root window.
        self.root.change_attributes(event_mask=X.SubstructureNotifyMask)
        self._presses = 0  # button presses that the window manager may still hold back
        self._pings = 0
        self._answered = 0
        self._atom_protocols = self.display.get_atom("WM_PROTOCOLS")
        self._atom_ping = self.display.get_atom("_NET_WM_PING")

    def _start_xkb(self) -> None:
        extension = self.display.query_extension("XKEYBOARD")
        self._xkb, self._xkb_event = extension.major_opcode, extension.first_event
        _UseExtension(display=self.display.display, opcode=self._xkb, major=1, minor=0)
        # XKB clients learn about a change of layout only from these events, not from MappingNotify.
        _SelectEvents(
            display=self.display.display, opcode=self._xkb, device=CORE_KEYBOARD, affect_which=_KEYBOARD_EVENTS,
            clear=0, select_all=_KEYBOARD_EVENTS, affect_map=0xFF, map=0xFF,
        )  # fmt: skip

    def close(self) -> None:
        """Close the connection."""
        self.display.close()

    def sync(self) -> None:
        """Wait until the server has carried out everything sent so far."""
        self.display.sync()
        self.drain()

    def fake(self, kind: int, detail: int) -> None:
        """Queue one key or button event."""
        if kind == X.ButtonPress and detail not in _WHEELS:
            self._presses += 1
        self._fake(kind, detail, 0, 0, 0)

    def motion(self, x: int, y: int) -> None:
        """Queue a move of the pointer to a point of the screen."""
        self._fake(X.MotionNotify, 0, self.root.id, x, y)

    def _fake(self, kind: int, detail: int, root: int, x: int, y: int) -> None:
        binary = _FAKE_INPUT.pack(self._xtest, 2, 9, kind, detail, 0, X.CurrentTime, root, 0, x, y, 0)
        self.display.display.send_request(_Ready(binary), False)

    def size(self) -> tuple[int, int]:
        """The screen's current width and height in pixels."""
        shape = self.root.get_geometry()
        return shape.width, shape.height

    def pointer(self) -> tuple[int, int, int]:
        """Where the pointer is, and the mask of the modifiers and buttons that are down."""
        found = self.root.query_pointer()
        return found.root_x, found.root_y, found.mask

    def keys(self) -> dict[int, input_xkb.KeySyms]:
        """The keyboard map: keycodes to keys."""
        return input_xkb.keys(self.display, self._xkb)

    def locks(self) -> tuple[int, int, int]:
        """The locked modifiers, the locked group and the group in effect."""
        state = _GetState(display=self.display.display, opcode=self._xkb, device=CORE_KEYBOARD)
        return state.locked_mods, state.locked_group, state.group

    def set_locks(self, affected: int, mods: int, group: int | None = None) -> None:
        """Queue a change of the locked modifiers in the mask `affected`, and of the locked group."""
        _LatchLockState(
            display=self.display.display, opcode=self._xkb, device=CORE_KEYBOARD, affect_mod_locks=affected,
            mod_locks=mods, lock_group=group is not None, group_lock=group or 0, affect_mod_latches=0,
            latch_group=False, group_latch=0,
        )  # fmt: skip

    def drain(self) -> None:
        """Read the events that have arrived: changed mappings and answers to pings."""
        while self.display.pending_events():
            seen = self.display.next_event()
            if seen.type in (X.MappingNotify, self._xkb_event):
                self.mapping_changed = True
            elif seen.type == X.ClientMessage and seen.client_type == self._atom_protocols:
                data = seen.data[1]
                if data[0] == self._atom_ping:
                    self._answered = max(self._answered, data[1])

    def wait_consumed(self, patience: float = 0.5) -> bool:
        """Wait until the focused program has read every event sent so far; False if `patience` seconds passed first.

        Where threads wait for cores, it is given more time. The evidence is its answer to `_NET_WM_PING`, since a
        program reads its events in order. Xt programs and Tk never answer. For them, the evidence is that the program
        sleeps, which it does not do with unread events.
        """
        self.sync()
        focus = self._focus()
        if focus is None:
            return True
        window = self._pingable(focus)
        if window is not None:
            return self._ping(window, patience)
        process = self._process(focus)
        if process is not None:
            return self._wait_asleep(process, patience)
        wait.sleep(_BLIND_WAIT)
        return True

    def _process(self, window: Any) -> int | None:
        """The process id of a window's client, if the server knows it."""
        try:
            answer = res.query_client_ids(self.display, [{"client": window.id, "mask": res.LocalClientPIDMask}])
        except (error.XError, AttributeError):
            return None  # no X-Resource extension, or the window closed
        found = [int(value) for item in answer.ids for value in item.value]
        return found[0] if found and found[0] else None

    def _wait_asleep(self, process: int, patience: float) -> bool:
        """Wait until a process has slept through several rounds of the X server; False if it has not.

        One look is not enough: the process also sleeps, with unread events, while it waits for an answer of the X
        server. But the server sends that answer in the same round as ours, and then the process would have run.
        And only looks count at which the server sleeps, too: it keeps events back from a client whose requests it has
        not read yet, and on a busy machine it may read ours first, round after round (`FlushAllOutput`, os/io.c).
        """
        status = Path(f"/proc/{process}/status")
        last, seen = "", 0

        def asleep() -> bool:
            nonlocal last, seen
            self.sync()
            try:
                if self._server is not None and proc.state(f"{self._server[0]}") in "RD":
                    return False
                text = status.read_text()
            except OSError:
                return True  # it is gone
            now = text[text.index("voluntary_ctxt_switches") :]
            seen = seen + 1 if now == last and "State:\tS" in text else 0
            last = now
            return seen >= _ROUNDS

        return _until(asleep, patience, 0.002, 0.004)

    def before_keys(self) -> None:
        """Wait until earlier clicks have arrived: keys must go where the click put the focus.

        A window manager holds back the press that gives a window the focus until it has done so, and keys would
        overtake it.
        """
        # The window manager may hold back each press, one after the other.
        for _ in range(min(self._presses, _MAX_PRESSES)):
            self.wait_manager()
        self._presses = 0

    def wait_manager(self) -> None:
        """Wait until the window manager has handled everything sent so far.

        After each change, Openbox binds its keys again (40 ms per keycode, unless `rebindOnMappingNotify` is no) and
        holds back every click meanwhile. The evidence is its answer to `_NET_REQUEST_FRAME_EXTENTS`.
        """
        supported = self.root.get_full_property(self.display.get_atom("_NET_SUPPORTED"), Xatom.ATOM)
        request = self.display.get_atom("_NET_REQUEST_FRAME_EXTENTS")
        if supported is None or request not in list(supported.value):
            return
        answer = self.display.get_atom("_NET_FRAME_EXTENTS")
        window = self.root.create_window(-10, -10, 1, 1, 0, X.CopyFromParent)
        message = event.ClientMessage(window=window, client_type=request, data=(32, [0] * 5))
        mask = X.SubstructureRedirectMask | X.SubstructureNotifyMask
        self.root.send_event(message, event_mask=mask)
        wait.until(
            lambda: window.get_full_property(answer, Xatom.CARDINAL), timeout=_MANAGER_TIMEOUT, interval=0.001,
            max_interval=0.02,
        )  # fmt: skip
        window.destroy()

    def _focus(self) -> Any:
        focus = self.display.get_input_focus().focus
        return focus if hasattr(focus, "id") else None

    def _pingable(self, window: Any) -> Any:
        """The window, or its nearest ancestor, that takes part in the ping protocol."""
        try:
            while window is not None and window.id != self.root.id:
                found = window.get_full_property(self._atom_protocols, Xatom.ATOM)
                if found is not None and self._atom_ping in list(found.value):
                    return window
                parent = window.query_tree().parent
                window = parent if hasattr(parent, "id") else None
        except (error.BadWindow, error.BadDrawable):
            pass  # it closed meanwhile: there is nobody to ask
        return None

    def _ping(self, window: Any, patience: float) -> bool:
        self._pings += 1
        number = self._pings
        message = event.ClientMessage(
            window=window,
            client_type=self._atom_protocols,
            data=(32, [self._atom_ping, number, window.id, 0, 0]),
        )
        window.send_event(message, onerror=_ignore)
        self.display.flush()

        def answered() -> bool:
            self.drain()
            return self._answered >= number

        return _until(answered, patience, 0.0005, 0.01)


def _until(check: Callable[[], bool], patience: float, interval: float, max_interval: float) -> bool:
    """Whether something comes true in time, which is longer if programs have to wait for a core."""
    if wait.until(check, timeout=patience, interval=interval, max_interval=max_interval):
        return True
    more = patience * (_crowd() - 1)
    return bool(wait.until(check, timeout=more, interval=interval, max_interval=max_interval))


def _crowd() -> float:
    """How many runnable threads there are for each core, by what /proc/loadavg says of now and of the last minute."""
    try:
        minute, _, _, now, _ = Path("/proc/loadavg").read_text().split()
        runnable = max(float(minute), float(now.partition("/")[0]))
    except (OSError, ValueError):
        return 1.0
    return min(max(runnable / (os.cpu_count() or 1), 1.0), _MAX_CROWD)


def _ignore(_error: object, _request: object) -> None:
    """Ignore errors from windows that may close at any time."""
