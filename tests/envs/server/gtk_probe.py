"""A small real GTK 3 program that logs what reaches it (run by /usr/bin/python3, not by the tests' interpreter).

Usage: gtk_probe.py text|events|dnd LOG [TEXT]

LOG gets JSON lines. `text` is a text view that writes its content to the file TEXT after each change; SIGUSR1 empties
it. `events` logs keys, buttons and wheels. `dnd` has a source in its left half and a target in its right half.
"""

import json
import signal
import sys
from pathlib import Path

import gi

gi.require_version("Gdk", "3.0")  # it does not follow from GTK's, where GTK 4 is installed, too
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, GLib, Gtk  # noqa: E402

MODE, LOG = sys.argv[1], Path(sys.argv[2]).open("a", buffering=1)  # noqa: SIM115


def log(**what):
    LOG.write(json.dumps(what) + "\n")


def modifiers(state):
    names = {"shift": 1, "lock": 2, "ctrl": 4, "alt": 8, "num": 16, "super": 64, "altgr": 128}
    return [name for name, mask in names.items() if state & mask]


def text_view():
    path = Path(sys.argv[3])
    view = Gtk.TextView(accepts_tab=True)
    buffer = view.get_buffer()
    pending: list[int] = []

    def write():
        pending.clear()
        start, end = buffer.get_bounds()
        new = path.with_suffix(".new")
        new.write_bytes(buffer.get_text(start, end, True).encode())
        new.replace(path)

    def changed(_buffer):
        if not pending:
            pending.append(GLib.idle_add(write))

    def empty():
        buffer.set_text("")
        write()
        log(event="emptied")
        return True

    buffer.connect("changed", changed)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, empty)
    write()
    return view


def event_area():
    area = Gtk.DrawingArea(can_focus=True)
    # With hints, GTK reports a motion only to a program that has asked for the place of the last one.
    area.add_events(
        Gdk.EventMask.ALL_EVENTS_MASK & ~(Gdk.EventMask.SMOOTH_SCROLL_MASK | Gdk.EventMask.POINTER_MOTION_HINT_MASK)
    )

    def key(_widget, event):
        kind = "key_press" if event.type == Gdk.EventType.KEY_PRESS else "key_release"
        log(event=kind, key=Gdk.keyval_name(event.keyval), modifiers=modifiers(event.state))
        return True

    def button(_widget, event):
        log(
            event=event.type.value_nick, button=event.button, x=int(event.x_root), y=int(event.y_root),
            modifiers=modifiers(event.state),
        )  # fmt: skip
        return True

    def scroll(_widget, event):
        log(event="scroll", direction=event.direction.value_nick, modifiers=modifiers(event.state))
        return True

    def motion(_widget, event):
        log(event="motion", x=int(event.x_root), y=int(event.y_root), held=bool(event.state & 256))
        return True

    area.connect("key-press-event", key)
    area.connect("key-release-event", key)
    area.connect("button-press-event", button)
    area.connect("button-release-event", button)
    area.connect("scroll-event", scroll)
    area.connect("motion-notify-event", motion)
    return area


def drag_and_drop():
    box = Gtk.Box(homogeneous=True)
    source, target = Gtk.EventBox(), Gtk.EventBox()
    entry = [Gtk.TargetEntry.new("text/plain", 0, 0)]
    source.drag_source_set(Gdk.ModifierType.BUTTON1_MASK, entry, Gdk.DragAction.COPY)
    target.drag_dest_set(Gtk.DestDefaults.ALL, entry, Gdk.DragAction.COPY)
    source.connect("drag-begin", lambda *_: log(event="drag_begin"))
    source.connect("drag-data-get", lambda _w, _c, data, *_: data.set_text("cargo", -1))
    target.connect("drag-data-received", lambda _w, _c, _x, _y, data, *_: log(event="dropped", text=data.get_text()))
    box.pack_start(source, True, True, 0)
    box.pack_start(target, True, True, 0)
    return box


def main():
    window = Gtk.Window(title=f"probe {MODE}")
    child = {"text": text_view, "events": event_area, "dnd": drag_and_drop}[MODE]()
    window.add(child)
    window.maximize()
    window.connect("focus-in-event", lambda *_: log(event="ready") and False)
    window.connect("delete-event", Gtk.main_quit)
    window.show_all()
    child.grab_focus()
    Gtk.main()


main()
