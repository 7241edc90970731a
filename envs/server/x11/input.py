"""Exact input: turns canonical actions into events of the X server, through XTEST on its own connection."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from deskbench.envs import actions as act
from deskbench.envs.server.x11.keysyms import InputError

if TYPE_CHECKING:
    from deskbench.envs.server.x11.keyboard import Keyboard
    from deskbench.envs.server.x11.pointer import Pointer

__all__ = ["Input", "InputError"]


class Input:
    """Carries out actions on one X display, one at a time. Safe to use from several threads.

    Args:
        display_name: such as `:0`, or None for $DISPLAY.

    Raises:
        InputError: the display cannot be opened, or lacks an extension.
    """

    def __init__(self, display_name: str | None = None) -> None:
        from deskbench.envs.server.x11.connection import Connection
        from deskbench.envs.server.x11.keyboard import Keyboard
        from deskbench.envs.server.x11.pointer import Pointer

        self._lock = threading.RLock()
        self._x = Connection(display_name)
        self._keyboard: Keyboard = Keyboard(self._x)
        self._pointer: Pointer = Pointer(self._x)

    def perform(self, action: act.Action) -> str | None:
        """Carry out one action. When this returns, the X server has processed all of it.

        Returns:
            Text for the agent if the action has some (`cursor_position`: `x,y` in pixels), otherwise None.

        Raises:
            InputError: it cannot be done (a point off the screen, a control character, not an action of mouse or
                keyboard). Everything that it pressed is released.
        """
        with self._lock:
            if isinstance(action, (act.Type, act.Key, act.KeyDown, act.KeyUp)):
                self._press(action)
                return None
            return self._point(action)

    def _press(self, action: act.Type | act.Key | act.KeyDown | act.KeyUp) -> None:
        if isinstance(action, act.Type):
            self._keyboard.type(action.text)
        elif isinstance(action, act.Key):
            self._keyboard.key(action.keys)
        elif isinstance(action, act.KeyDown):
            self._keyboard.key_down(action.key)
        else:
            self._keyboard.key_up(action.key)

    def _point(self, action: act.Action) -> str | None:
        if isinstance(action, act.Move):
            self._pointer.move(action.x, action.y)
            self._x.sync()
        elif isinstance(action, (act.Click, act.Drag, act.Scroll)):
            self._point_holding(action)
        elif isinstance(action, act.MouseDown):
            self._pointer.down(action.button, action.x, action.y)
        elif isinstance(action, act.MouseUp):
            self._pointer.up(action.button, action.x, action.y)
        elif isinstance(action, act.CursorPosition):
            x, y = self.pointer()
            return f"{x},{y}"
        else:
            raise InputError(f"{action.type!r} is not an action of mouse or keyboard")
        return None

    def _point_holding(self, action: act.Click | act.Drag | act.Scroll) -> None:
        if isinstance(action, act.Drag):
            self._pointer.check(action.path)
        else:
            self._pointer.move(action.x, action.y)
        # Without keys, there is no need to wait until earlier clicks have been handled.
        with self._keyboard.holding(action.modifiers) if action.modifiers else contextlib.nullcontext():
            if isinstance(action, act.Click):
                self._pointer.click(action.button, action.count, None, None)
            elif isinstance(action, act.Drag):
                self._pointer.drag(action.path, action.button)
            else:
                self._pointer.scroll(action.dx, action.dy)

    def pointer(self) -> tuple[int, int]:
        """Where the pointer is, in pixels of the screen."""
        with self._lock:
            x, y, _ = self._x.pointer()
            return x, y

    def held(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The keys and buttons that earlier actions hold down."""
        return self._keyboard.held, self._pointer.held

    def release_all(self) -> None:
        """Release every key and button that is down."""
        with self._lock:
            self._pointer.release_all()
            self._keyboard.release_all()

    def close(self) -> None:
        """Release everything, restore the keyboard mapping, and close the connection."""
        with self._lock:
            self.release_all()
            self._keyboard.restore()
            self._x.close()
