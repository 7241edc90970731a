"""UI Automation: gets a window's contents from its program in one call.

The interface ids and the positions of their methods are those of UIAutomationClient.h, which Microsoft publishes with
the Windows SDK. Like all of COM, they never change. One cache request asks for everything, so a window with a thousand
controls costs one call into its program, not thousands.
"""

from __future__ import annotations

import ctypes
import sys
import uuid
from collections.abc import Callable
from typing import Any

from deskbench.envs.server.accessibility.constants import CONTROL_TYPES
from deskbench.envs.server.elements import Element, truth

_function: Any = getattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE)
CLSID_CUI_AUTOMATION_8 = "e22ad333-b25f-460c-83d0-0581107395c9"
IID_IUI_AUTOMATION_2 = "34723aff-0c9d-49d0-9896-7ab52df8cd8a"
IN_PROCESS = 1
MULTITHREADED = 0
ALREADY_OTHERWISE = 0x80010106
"""RPC_E_CHANGED_MODE: the thread already uses COM in another mode, which also works."""
SUBTREE = 7
WITHOUT_REFERENCE = 0
"""AutomationElementMode_None: we only need the cache."""
VT_BSTR = 8
VALUE = 30045
PROPERTIES = (30001, 30003, 30005, 30008, 30010, 30011, 30012, 30022, VALUE, 30079, 30086)
"""BoundingRectangle, ControlType, Name, HasKeyboardFocus, IsEnabled, AutomationId, ClassName, IsOffscreen,
ValueValue, SelectionItemIsSelected, ToggleToggleState."""
FIRST_CONTROL_TYPE = 50000
MAX_NODES = 20_000


class UiaError(Exception):
    """UI Automation is not available, or a program did not answer."""


class _Rect(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in ("left", "top", "right", "bottom")]


class _Variant(ctypes.Structure):
    """VARIANT on 64 bits: 24 bytes, with the value at 8."""

    _fields_ = [("kind", ctypes.c_uint16), ("reserved", ctypes.c_uint16 * 3), ("value", ctypes.c_uint64 * 2)]


class Object:
    """A COM object of which we hold one reference; leaving the block releases it."""

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer

    def __enter__(self) -> Object:
        return self

    def __exit__(self, *_: object) -> None:
        self._call(2)

    def call(self, slot: int, *arguments: Any) -> None:
        """Call the method at a position of the table.

        Raises:
            UiaError: it failed.
        """
        status = self._call(slot, *arguments) & 0xFFFFFFFF
        if status & 0x80000000:
            raise UiaError(f"method {slot} answered {status:#010x}")

    def get(self, slot: int, *arguments: Any) -> Object | None:
        """Call a method whose last parameter receives an object."""
        found = ctypes.c_void_p()
        self.call(slot, *arguments, ctypes.byref(found))
        return Object(found.value) if found.value else None

    def number(self, slot: int) -> int:
        """Call a method that returns a number or a boolean."""
        found = ctypes.c_int32()
        self.call(slot, ctypes.byref(found))
        return found.value

    @property
    def pointer(self) -> ctypes.c_void_p:
        """The object as an argument."""
        return ctypes.c_void_p(self._pointer)

    def _call(self, slot: int, *arguments: Any) -> int:
        table = ctypes.cast(self._pointer, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))).contents
        simple = (ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint32)
        types = [type(one) if isinstance(one, simple) else ctypes.c_void_p for one in arguments]
        return int(_function(ctypes.c_int32, ctypes.c_void_p, *types)(table[slot])(self._pointer, *arguments))


class Automation:
    """Reads windows. The object belongs to the multithreaded apartment: any of its threads may use it.

    Args:
        root: IUIAutomation2.
        free: frees a COM string (SysFreeString).
    """

    def __init__(self, root: Object, free: Callable[[ctypes.c_void_p], object]) -> None:
        self._root = root
        self._free = free
        self._nodes = 0

    def window(self, handle: int, seconds: float) -> Element:
        """A window with everything in it.

        Args:
            handle: the window's handle.
            seconds: how long its program may take to answer.

        Raises:
            UiaError: it did not answer.
        """
        for slot in (61, 63):  # put_ConnectionTimeout, put_TransactionTimeout
            self._root.call(slot, ctypes.c_uint32(max(1, int(seconds * 1e3))))
        self._nodes = 0
        with self._request() as request:
            found = self._root.get(10, ctypes.c_void_p(handle), request.pointer)  # ElementFromHandleBuildCache
        if found is None:
            raise UiaError("the handle has no element")
        with found:
            return self._read(found)

    def _request(self) -> Object:
        request = self._root.get(20)  # CreateCacheRequest
        assert request is not None
        for number in PROPERTIES:
            request.call(3, ctypes.c_int32(number))  # AddProperty
        view = self._root.get(18)  # get_ControlViewCondition
        assert view is not None
        with view:
            request.call(9, view.pointer)  # put_TreeFilter
        request.call(7, ctypes.c_int32(SUBTREE))  # put_TreeScope
        request.call(11, ctypes.c_int32(WITHOUT_REFERENCE))  # put_AutomationElementMode
        return request

    def _read(self, found: Object) -> Element:
        self._nodes += 1
        element = self._describe(found)
        children = found.get(19) if self._nodes < MAX_NODES else None  # GetCachedChildren
        if children is not None:
            with children:
                for index in range(children.number(3)):  # get_Length
                    child = children.get(4, ctypes.c_int32(index))  # GetElement
                    if child is not None:
                        with child:
                            element.children.append(self._read(child))
        return element

    def _describe(self, found: Object) -> Element:
        kind = _control_type(found.number(53))
        class_name = self._text(found, 62)
        shown = not found.number(70)
        box = _Rect()
        found.call(75, ctypes.byref(box))
        states = {"visible": shown, "enabled": found.number(60), "focused": found.number(58)}
        attributes = {f"st:{name}": truth(value) for name, value in states.items()}
        value = self._value(found)
        if value:
            attributes["val:value"] = value
        attributes |= {"class:class": class_name, "attr:control_type": kind, "attr:id": self._text(found, 61)}
        place = (box.left, box.top, box.right - box.left, box.bottom - box.top)
        return Element(class_name or kind, self._text(found, 55), attributes, place if shown else None)

    def _text(self, found: Object, slot: int) -> str:
        text = ctypes.c_void_p()
        found.call(slot, ctypes.byref(text))
        return self._taken(text)

    def _value(self, found: Object) -> str:
        """An element's value; empty for an element without one (not an error, according to the documentation)."""
        held = _Variant()
        found.call(12, ctypes.c_int32(VALUE), ctypes.byref(held))  # GetCachedPropertyValue
        return self._taken(ctypes.c_void_p(held.value[0])) if held.kind == VT_BSTR else ""

    def _taken(self, text: ctypes.c_void_p) -> str:
        """Convert a BSTR to text and free it. Its length is in the four bytes before it, since it may contain zeros."""
        if not text.value:
            return ""
        size = ctypes.c_uint32.from_address(text.value - 4).value
        try:
            return ctypes.string_at(text.value, size).decode("utf-16-le", "replace")
        finally:
            self._free(text)


def _control_type(number: int) -> str:
    index = number - FIRST_CONTROL_TYPE
    return CONTROL_TYPES[index] if 0 <= index < len(CONTROL_TYPES) else "Custom"


def connect() -> Automation:
    """Connect to this session's UI Automation.

    Raises:
        UiaError: UI Automation is not registered on this Windows (Wine 8, for example).
    """
    if sys.platform != "win32":
        raise UiaError("only Windows has it")
    join_apartment()
    made = ctypes.c_void_p()
    status = ctypes.WinDLL("ole32").CoCreateInstance(
        _guid(CLSID_CUI_AUTOMATION_8), None, IN_PROCESS, _guid(IID_IUI_AUTOMATION_2), ctypes.byref(made)
    )
    if status or not made.value:
        raise UiaError(f"CUIAutomation8 is not available: {status & 0xFFFFFFFF:#010x}")
    free = ctypes.WinDLL("oleaut32").SysFreeString
    free.argtypes, free.restype = [ctypes.c_void_p], None
    return Automation(Object(made.value), free)


def join_apartment() -> None:
    """Initialize COM for this thread; repeating it does no harm.

    Raises:
        UiaError: Windows refuses.
    """
    if sys.platform == "win32":
        status = ctypes.WinDLL("ole32").CoInitializeEx(None, MULTITHREADED) & 0xFFFFFFFF
        if status & 0x80000000 and status != ALREADY_OTHERWISE:
            raise UiaError(f"COM does not start: {status:#010x}")


def _guid(text: str) -> Any:
    return (ctypes.c_ubyte * 16).from_buffer_copy(uuid.UUID(text).bytes_le)
