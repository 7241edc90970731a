"""What changed on the screen and when, from X's Damage and XFixes extensions: no polling, and no cost while idle."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from deskbench.envs.server.png import BAND
from deskbench.envs.server.settle import Change

if TYPE_CHECKING:
    from Xlib.display import Display

ECHO_SECONDS = 0.5
HISTORY = 4096
"""How many rectangles to keep; the oldest are dropped."""


class DamageWatch:
    """Listens on its own connection, in its own thread.

    Attributes:
        count: grows with every change; equal counts mean an equal screen, except for the cursor.
        cursors: grows whenever the cursor's picture changes.
    """

    def __init__(self, display_name: str | None = None) -> None:
        from Xlib import X, display
        from Xlib.ext import damage, xfixes

        self._display = display.Display(display_name)
        self._damaged = self._display.extension_event.DamageNotify
        self._cursor = self._display.extension_event.DisplayCursorNotify[0]
        self._display.damage_query_version()
        self._display.xfixes_query_version()
        root = self._display.screen().root
        root.change_attributes(event_mask=X.StructureNotifyMask)
        root.damage_create(damage.DamageReportRawRectangles)
        self._display.xfixes_select_cursor_input(root, xfixes.XFixesDisplayCursorNotifyMask)
        self._window = root.create_window(0, 0, 1, 1, 0, 0, X.InputOnly).id
        self._echo = self._display.intern_atom("_DESKBENCH_ECHO")
        self._message, self._resized = X.ClientMessage, X.ConfigureNotify
        self._echoes = itertools.count(1)
        self._echoed = 0
        self._display.sync()
        self.count = self.cursors = 0
        self._changes: deque[Change] = deque(maxlen=HISTORY)
        self._all_bands = frozenset(range((self._display.screen().height_in_pixels - 1) // BAND + 1))
        self._bands: set[int] = set()
        self._changed = threading.Condition()
        threading.Thread(target=self._listen, name="damage", daemon=True).start()

    def _listen(self) -> None:
        from Xlib.error import ConnectionClosedError

        try:
            while True:
                event = self._display.next_event()
                if event.type == self._cursor:
                    self.cursors += 1
                if event.type == self._message and event.client_type == self._echo:  # others are sent to the root
                    with self._changed:
                        self._echoed = max(self._echoed, event.data[1][0])
                        self._changed.notify_all()
                if event.type == self._resized:
                    with self._changed:
                        self.count += 1
                        self._bands |= self._all_bands
                if event.type != self._damaged:
                    continue
                area = event.area
                with self._changed:
                    self.count += 1
                    self._changes.append(Change(time.monotonic(), area.x, area.y, area.width, area.height))
                    self._bands.update(range(area.y // BAND, (area.y + area.height - 1) // BAND + 1))
                    self._changed.notify_all()
        except (ConnectionClosedError, OSError):
            return  # the X server is gone, and the desktop with it

    def catch_up(self, other: Display, timeout: float = ECHO_SECONDS) -> bool:
        """Send a message to ourselves over another connection; wait until it is here, and all that was sent before it.

        Gives up after `timeout` seconds, with False: an X server that does not answer is somebody else's matter.
        """
        from Xlib.protocol import event

        number = next(self._echoes)
        message = event.ClientMessage(
            window=self._window, client_type=self._echo, data=(32, [number & 0x7FFFFFFF, 0, 0, 0, 0])
        )
        other.send_event(self._window, message)
        other.flush()
        with self._changed:
            return self._changed.wait_for(lambda: self._echoed >= number, timeout)

    def take(self) -> tuple[int, set[int]]:
        """The count, and what has changed since this was last asked: numbers of bands of `BAND` rows from the top."""
        with self._changed:
            bands, self._bands = self._bands, set()
            return self.count, bands

    def since(self, moment: float) -> list[Change]:
        """The changes at or after `moment`, oldest first."""
        with self._changed:
            return [c for c in self._changes if c.time >= moment]

    def wait(self, count: int, timeout: float) -> bool:
        """Wait until there have been more than `count` changes; False if time ran out first."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count > count, timeout)
