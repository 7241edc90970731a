"""Reads a window's contents without UI Automation, by window handles and messages of the common controls.

Lists, trees and tabs write their answers into memory of their own program, so we borrow a piece of it. The message
numbers and structures are those of commctrl.h and winuser.h. Menus, and what a program draws itself, cannot be seen
this way.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Callable, Iterator
from ctypes import wintypes
from typing import Any

from deskbench.envs.server.elements import Element, truth
from deskbench.envs.server.win32 import api
from deskbench.envs.server.win32.windows import SMTO_ABORTIFHUNG, Windows

ANSWER_MS = 500
MAX_ITEMS = 1000
MAX_COLUMNS = 20
GA_PARENT = 1
GWL_STYLE = -16
TEXT_ROOM = 520
"""The most characters of an item's text."""
PROCESS_MEMORY = 0x0008 | 0x0010 | 0x0020 | 0x1000
"""Rights to allocate, read and write a process's memory, and to query its word size."""
COMMIT, RELEASE, READ_WRITE = 0x1000, 0x8000, 0x04
BM_GETCHECK = 0x00F0
LB_GETTEXT, LB_GETTEXTLEN, LB_GETCOUNT, LB_GETSEL, LB_GETITEMRECT = 0x0189, 0x018A, 0x018B, 0x0187, 0x0198
LVM_GETITEMCOUNT, LVM_GETITEMRECT, LVM_GETHEADER, LVM_GETITEMSTATE = 0x1004, 0x100E, 0x101F, 0x102C
LVM_GETSUBITEMRECT, LVM_GETITEMTEXT, HDM_GETITEMCOUNT = 0x1038, 0x1073, 0x1200
TVM_GETITEMRECT, TVM_GETNEXTITEM, TVM_GETITEM = 0x1104, 0x110A, 0x113E
TCM_GETITEMCOUNT, TCM_GETITEMRECT, TCM_GETCURSEL, TCM_GETITEM = 0x1304, 0x130A, 0x130B, 0x133C
TVGN_ROOT, TVGN_NEXTVISIBLE = 0, 6
TEXT, TREE_STATE, TREE_HANDLE, TREE_CHILDREN = 0x0001, 0x0008, 0x0010, 0x0040
SELECTED, EXPANDED = 0x0002, 0x0020
KINDS = {
    "button": "Button", "edit": "Edit", "static": "Text", "combobox": "ComboBox", "comboboxex32": "ComboBox",
    "listbox": "List", "combolbox": "List", "syslistview32": "List", "systreeview32": "Tree", "systabcontrol32": "Tab",
    "scrollbar": "ScrollBar", "msctls_statusbar32": "StatusBar", "toolbarwindow32": "ToolBar",
    "msctls_updown32": "Spinner", "msctls_trackbar32": "Slider", "msctls_progress32": "ProgressBar",
    "richedit20w": "Document", "richedit50w": "Document", "#32770": "Window", "sysheader32": "Header",
}  # fmt: skip
"""UI Automation's control types by window class; other classes are panes."""
BUTTONS = {2: "CheckBox", 3: "CheckBox", 4: "RadioButton", 5: "CheckBox", 6: "CheckBox", 7: "Group", 9: "RadioButton"}
"""Control types by the low four bits of a button's style."""
WITH_MNEMONIC = frozenset({"button", "static"})


class _ListItem(ctypes.Structure):
    """Windows' LVITEMW, up to lParam."""

    _fields_ = [
        ("mask", wintypes.UINT), ("item", ctypes.c_int), ("column", ctypes.c_int), ("state", wintypes.UINT),
        ("state_mask", wintypes.UINT), ("text", ctypes.c_void_p), ("room", ctypes.c_int), ("image", ctypes.c_int),
        ("data", ctypes.c_ssize_t), ("rest", ctypes.c_byte * 64),
    ]  # fmt: skip


class _TreeItem(ctypes.Structure):
    """Windows' TVITEMW."""

    _fields_ = [
        ("mask", wintypes.UINT), ("item", ctypes.c_void_p), ("state", wintypes.UINT), ("state_mask", wintypes.UINT),
        ("text", ctypes.c_void_p), ("room", ctypes.c_int), ("image", ctypes.c_int), ("selected_image", ctypes.c_int),
        ("children", ctypes.c_int), ("data", ctypes.c_ssize_t),
    ]  # fmt: skip


class _Tab(ctypes.Structure):
    """Windows' TCITEMW."""

    _fields_ = [
        ("mask", wintypes.UINT), ("state", wintypes.DWORD), ("state_mask", wintypes.DWORD), ("text", ctypes.c_void_p),
        ("room", ctypes.c_int), ("image", ctypes.c_int), ("data", ctypes.c_ssize_t),
    ]  # fmt: skip


class Controls:
    """Reads windows. Safe to use from several threads."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._user, self._kernel = api.user32(), api.kernel32()

    def window(self, handle: int) -> Element:
        """A window with its controls and their items."""
        root = self._describe(handle)
        made = {handle: root}
        for child in self._windows.children(handle):
            made[child] = self._describe(child)
        for child in [known for known in made if known != handle]:
            parent = self._user.GetAncestor(wintypes.HANDLE(child), GA_PARENT)
            made.get(parent or handle, root).children.append(made[child])
        return root

    def _describe(self, handle: int) -> Element:
        windows = self._windows
        class_name = windows.class_name(handle)
        kind, text = self._kind(handle, class_name.lower()), windows.text(handle)
        name = _without_mnemonic(text) if class_name.lower() in WITH_MNEMONIC else text
        states = {
            "visible": windows.visible(handle), "enabled": windows.enabled(handle),
            "active": windows.active() == handle,
        }  # fmt: skip
        if kind in ("CheckBox", "RadioButton"):
            states["checked"] = bool(self._ask(handle, BM_GETCHECK, 0, None) & 1)
        attributes = {f"st:{state}": truth(value) for state, value in states.items()}
        if kind in ("Edit", "Document", "ComboBox") and text:
            attributes["val:value"] = text
        attributes |= {"class:class": class_name, "attr:control_type": kind}
        shown = states["visible"]
        element = Element(class_name or kind, name, attributes, windows.rectangle(handle) if shown else None)
        if shown:
            element.children += self._items(handle, class_name.lower())
        return element

    def _kind(self, handle: int, class_name: str) -> str:
        if class_name == "button":
            return BUTTONS.get(self._user.GetWindowLongW(handle, GWL_STYLE) & 0xF, "Button")
        parent = self._user.GetAncestor(wintypes.HANDLE(handle), GA_PARENT)
        top = not parent or parent == self._user.GetDesktopWindow()
        return KINDS.get(class_name, "Window" if top else "Pane")

    def _items(self, handle: int, class_name: str) -> list[Element]:
        reader: dict[str, Callable[[int, _Borrowed], Iterator[Element]]] = {
            "syslistview32": self._list, "systreeview32": self._tree, "systabcontrol32": self._tabs,
        }  # fmt: skip
        if class_name in ("listbox", "combolbox"):
            return list(self._list_box(handle))
        if class_name not in reader:
            return []
        with self._borrowed(handle) as memory:
            return list(reader[class_name](handle, memory)) if memory else []

    def _list_box(self, handle: int) -> Iterator[Element]:
        """The items of a list box. Windows itself carries the texts of these messages between programs."""
        for index in range(min(self._ask(handle, LB_GETCOUNT, 0, None), MAX_ITEMS)):
            room = ctypes.create_unicode_buffer(max(self._ask(handle, LB_GETTEXTLEN, index, None), 0) + 1)
            self._ask(handle, LB_GETTEXT, index, ctypes.addressof(room))
            box = wintypes.RECT()
            self._ask(handle, LB_GETITEMRECT, index, ctypes.addressof(box))
            chosen = self._ask(handle, LB_GETSEL, index, None) > 0
            yield self._item("ListItem", room.value, handle, box, selected=chosen)

    def _list(self, handle: int, memory: _Borrowed) -> Iterator[Element]:
        header = self._ask(handle, LVM_GETHEADER, 0, None)
        columns = self._ask(header, HDM_GETITEMCOUNT, 0, None) if header else 1
        for index in range(min(self._ask(handle, LVM_GETITEMCOUNT, 0, None), MAX_ITEMS)):
            box = self._rectangle(handle, memory, LVM_GETITEMRECT, index, wintypes.RECT())
            chosen = self._ask(handle, LVM_GETITEMSTATE, index, SELECTED) & SELECTED
            item = self._item("ListItem", self._list_text(handle, memory, index, 0), handle, box, selected=chosen)
            for column in range(1, min(columns, MAX_COLUMNS)):
                cell = self._rectangle(handle, memory, LVM_GETSUBITEMRECT, index, wintypes.RECT(0, column))
                text = self._list_text(handle, memory, index, column)
                item.children.append(self._item("Text", text, handle, cell))
            yield item

    def _list_text(self, handle: int, memory: _Borrowed, index: int, column: int) -> str:
        wanted = _ListItem(TEXT, index, column, text=memory.text_address, room=TEXT_ROOM)
        memory.put(wanted)
        self._ask(handle, LVM_GETITEMTEXT, index, memory.address)
        return memory.text()

    def _tree(self, handle: int, memory: _Borrowed) -> Iterator[Element]:
        """The items in expanded branches, wherever the tree is scrolled to."""
        item = self._ask(handle, TVM_GETNEXTITEM, TVGN_ROOT, None)
        for _ in range(MAX_ITEMS):
            if not item:
                return
            flags = TEXT | TREE_STATE | TREE_HANDLE | TREE_CHILDREN
            wanted = _TreeItem(flags, item, 0, SELECTED | EXPANDED, memory.text_address, TEXT_ROOM)
            memory.put(wanted)
            self._ask(handle, TVM_GETITEM, 0, memory.address)
            memory.take(wanted)
            text, place = memory.text(), wintypes.RECT()
            ctypes.c_void_p.from_buffer(place).value = item  # the message takes the item in the rectangle's memory
            box = self._rectangle(handle, memory, TVM_GETITEMRECT, 1, place)
            found = self._item("TreeItem", text, handle, box, selected=wanted.state & SELECTED)
            if wanted.children:
                found.attributes["st:expanded"] = truth(wanted.state & EXPANDED)
            yield found
            item = self._ask(handle, TVM_GETNEXTITEM, TVGN_NEXTVISIBLE, item)

    def _tabs(self, handle: int, memory: _Borrowed) -> Iterator[Element]:
        current = self._ask(handle, TCM_GETCURSEL, 0, None)
        for index in range(min(self._ask(handle, TCM_GETITEMCOUNT, 0, None), MAX_ITEMS)):
            memory.put(_Tab(TEXT, text=memory.text_address, room=TEXT_ROOM))
            self._ask(handle, TCM_GETITEM, index, memory.address)
            text = memory.text()
            box = self._rectangle(handle, memory, TCM_GETITEMRECT, index, wintypes.RECT())
            yield self._item("TabItem", text, handle, box, selected=index == current)

    def _rectangle(
        self, handle: int, memory: _Borrowed, message: int, index: int, asked: wintypes.RECT
    ) -> wintypes.RECT | None:
        memory.put(asked)
        if not self._ask(handle, message, index, memory.address):
            return None
        memory.take(asked)
        return asked

    def _item(
        self, kind: str, name: str, handle: int, box: wintypes.RECT | None, *, selected: object = None
    ) -> Element:
        place = self._on_screen(handle, box) if box else None
        attributes = {"st:visible": truth(place), "st:enabled": truth(self._windows.enabled(handle))}
        if selected is not None:
            attributes["st:selected"] = truth(selected)
        return Element(kind, name, {**attributes, "attr:control_type": kind}, place)

    def _on_screen(self, handle: int, box: wintypes.RECT) -> tuple[int, int, int, int] | None:
        """The visible part of an item, inside its control."""
        inside = wintypes.RECT()
        self._user.GetClientRect(handle, ctypes.byref(inside))
        left, top = max(box.left, 0), max(box.top, 0)
        right, bottom = min(box.right, inside.right), min(box.bottom, inside.bottom)
        if right <= left or bottom <= top:
            return None
        corner = wintypes.POINT(left, top)
        self._user.ClientToScreen(handle, ctypes.byref(corner))
        return corner.x, corner.y, right - left, bottom - top

    def _ask(self, handle: int, message: int, first: int, second: int | None) -> int:
        """Send a message; returns its answer, or 0 if the program hangs."""
        answer = ctypes.c_ssize_t()
        self._user.SendMessageTimeoutW(
            handle, message, first, second, SMTO_ABORTIFHUNG, ANSWER_MS, ctypes.byref(answer)
        )
        return answer.value

    @contextlib.contextmanager
    def _borrowed(self, handle: int) -> Iterator[_Borrowed | None]:
        """Memory in a window's program; None if we may not have it, or if the program has another word size."""
        owner = wintypes.DWORD()
        self._user.GetWindowThreadProcessId(handle, ctypes.byref(owner))
        process = self._kernel.OpenProcess(PROCESS_MEMORY, False, owner)
        if not process:
            yield None
            return
        address = None
        try:
            narrow = wintypes.BOOL()
            self._kernel.IsWow64Process(process, ctypes.byref(narrow))
            if not narrow:
                address = self._kernel.VirtualAllocEx(process, None, _Borrowed.SIZE, COMMIT, READ_WRITE)
            yield _Borrowed(self._kernel, process, address) if address else None
        finally:
            if address:
                self._kernel.VirtualFreeEx(process, address, 0, RELEASE)
            self._kernel.CloseHandle(process)


class _Borrowed:
    """A page in another program: a structure at its beginning, and a text in its second half."""

    SIZE = 4096

    def __init__(self, kernel: Any, process: int, address: int) -> None:
        self._kernel = kernel
        self._process = process
        self.address = address
        self.text_address = address + self.SIZE // 2

    def put(self, structure: ctypes.Structure) -> None:
        """Write a structure at the beginning, and clear the text."""
        self._move("WriteProcessMemory", self.text_address, ctypes.create_string_buffer(2))
        self._move("WriteProcessMemory", self.address, structure)

    def take(self, structure: ctypes.Structure) -> None:
        """Read the structure back."""
        self._move("ReadProcessMemory", self.address, structure)

    def text(self) -> str:
        """The text, up to its terminator."""
        room = ctypes.create_unicode_buffer(TEXT_ROOM)
        self._move("ReadProcessMemory", self.text_address, room)
        return room.value

    def _move(self, call: str, address: int, ours: ctypes.Structure | ctypes.Array[Any]) -> None:
        getattr(self._kernel, call)(self._process, address, ctypes.byref(ours), ctypes.sizeof(ours), None)


def _without_mnemonic(text: str) -> str:
    """Remove mnemonics: `&File` is shown as File with the F underlined, `&&` as &."""
    return re.sub("&(.?)", r"\1", text)
