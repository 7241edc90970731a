"""The calls of user32, gdi32 and kernel32 that the server uses, with their types."""

from __future__ import annotations

import ctypes
import sys
from ctypes import wintypes
from typing import Any

LONG_PTR = ctypes.c_ssize_t


class MouseInput(ctypes.Structure):
    """Windows' MOUSEINPUT."""

    _fields_ = [
        ("dx", wintypes.LONG), ("dy", wintypes.LONG), ("data", wintypes.DWORD), ("flags", wintypes.DWORD),
        ("time", wintypes.DWORD), ("extra", ctypes.c_void_p),
    ]  # fmt: skip


class KeyboardInput(ctypes.Structure):
    """Windows' KEYBDINPUT."""

    _fields_ = [
        ("vk", wintypes.WORD), ("scan", wintypes.WORD), ("flags", wintypes.DWORD), ("time", wintypes.DWORD),
        ("extra", ctypes.c_void_p),
    ]  # fmt: skip


class _Union(ctypes.Union):
    _fields_ = [("mouse", MouseInput), ("keyboard", KeyboardInput)]


class Input(ctypes.Structure):
    """Windows' INPUT."""

    _fields_ = [("type", wintypes.DWORD), ("of", _Union)]


class CursorInfo(ctypes.Structure):
    """Windows' CURSORINFO."""

    _fields_ = [
        ("size", wintypes.DWORD), ("flags", wintypes.DWORD), ("cursor", wintypes.HANDLE), ("at", wintypes.POINT),
    ]  # fmt: skip


class IconInfo(ctypes.Structure):
    """Windows' ICONINFO."""

    _fields_ = [
        ("icon", wintypes.BOOL), ("x", wintypes.DWORD), ("y", wintypes.DWORD), ("mask", wintypes.HANDLE),
        ("color", wintypes.HANDLE),
    ]  # fmt: skip


class BitmapHeader(ctypes.Structure):
    """Windows' BITMAPINFOHEADER."""

    _fields_ = [
        ("size", wintypes.DWORD), ("width", wintypes.LONG), ("height", wintypes.LONG), ("planes", wintypes.WORD),
        ("bits", wintypes.WORD), ("compression", wintypes.DWORD), ("image_size", wintypes.DWORD),
        ("x_per_metre", wintypes.LONG), ("y_per_metre", wintypes.LONG), ("used", wintypes.DWORD),
        ("important", wintypes.DWORD),
    ]  # fmt: skip


class ProcessEntry(ctypes.Structure):
    """Windows' PROCESSENTRY32W."""

    _fields_ = [
        ("size", wintypes.DWORD), ("usage", wintypes.DWORD), ("id", wintypes.DWORD), ("heap", ctypes.c_size_t),
        ("module", wintypes.DWORD), ("threads", wintypes.DWORD), ("parent", wintypes.DWORD),
        ("priority", wintypes.LONG), ("flags", wintypes.DWORD), ("name", wintypes.WCHAR * 260),
    ]  # fmt: skip


_HANDLES = {
    "user32": [
        "GetDC", "GetForegroundWindow", "GetWindow", "WindowFromPoint", "LoadCursorW", "GetParent", "GetAncestor",
        "GetDesktopWindow",
    ],
    "gdi32": ["CreateCompatibleDC", "CreateCompatibleBitmap", "SelectObject"],
    "kernel32": ["CreateToolhelp32Snapshot", "OpenProcess", "VirtualAllocEx"],
}  # fmt: skip
"""Calls that return a handle, which ctypes would cut to 32 bits."""
_ARGUMENTS: dict[str, dict[str, list[Any]]] = {
    "user32": {
        "SendInput": [wintypes.UINT, ctypes.c_void_p, ctypes.c_int],
        "SystemParametersInfoW": [wintypes.UINT, wintypes.UINT, ctypes.c_void_p, wintypes.UINT],
        "ReleaseDC": [wintypes.HANDLE, wintypes.HANDLE],
        "GetDC": [wintypes.HANDLE],
        "GetIconInfo": [wintypes.HANDLE, ctypes.c_void_p],
        "DrawIconEx": [wintypes.HANDLE, ctypes.c_int, ctypes.c_int, wintypes.HANDLE, ctypes.c_int, ctypes.c_int,
                       wintypes.UINT, wintypes.HANDLE, wintypes.UINT],
        "GetWindowTextW": [wintypes.HANDLE, wintypes.LPWSTR, ctypes.c_int],
        "GetClassNameW": [wintypes.HANDLE, wintypes.LPWSTR, ctypes.c_int],
        "GetWindowRect": [wintypes.HANDLE, ctypes.c_void_p],
        "GetWindow": [wintypes.HANDLE, wintypes.UINT],
        "IsWindowVisible": [wintypes.HANDLE],
        "IsWindowEnabled": [wintypes.HANDLE],
        "IsIconic": [wintypes.HANDLE],
        "SetForegroundWindow": [wintypes.HANDLE],
        "ShowWindow": [wintypes.HANDLE, ctypes.c_int],
        "PostMessageW": [wintypes.HANDLE, wintypes.UINT, ctypes.c_size_t, LONG_PTR],
        "SendMessageTimeoutW": [wintypes.HANDLE, wintypes.UINT, ctypes.c_size_t, ctypes.c_void_p, wintypes.UINT,
                                wintypes.UINT, ctypes.c_void_p],
        "GetWindowThreadProcessId": [wintypes.HANDLE, ctypes.c_void_p],
        "GetWindowLongW": [wintypes.HANDLE, ctypes.c_int],
        "GetAncestor": [wintypes.HANDLE, wintypes.UINT],
        "GetClientRect": [wintypes.HANDLE, ctypes.c_void_p],
        "ClientToScreen": [wintypes.HANDLE, ctypes.c_void_p],
    },
    "gdi32": {
        "BitBlt": [wintypes.HANDLE, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int, wintypes.HANDLE,
                   ctypes.c_int, ctypes.c_int, wintypes.DWORD],
        "CreateCompatibleDC": [wintypes.HANDLE],
        "CreateCompatibleBitmap": [wintypes.HANDLE, ctypes.c_int, ctypes.c_int],
        "SelectObject": [wintypes.HANDLE, wintypes.HANDLE],
        "GetDIBits": [wintypes.HANDLE, wintypes.HANDLE, wintypes.UINT, wintypes.UINT, ctypes.c_void_p, ctypes.c_void_p,
                      wintypes.UINT],
        "DeleteObject": [wintypes.HANDLE],
    },
    "kernel32": {
        "Process32FirstW": [wintypes.HANDLE, ctypes.c_void_p],
        "Process32NextW": [wintypes.HANDLE, ctypes.c_void_p],
        "CloseHandle": [wintypes.HANDLE],
        "TerminateProcess": [wintypes.HANDLE, wintypes.UINT],
        "IsWow64Process": [wintypes.HANDLE, ctypes.c_void_p],
        "VirtualAllocEx": [wintypes.HANDLE, ctypes.c_void_p, ctypes.c_size_t, wintypes.DWORD, wintypes.DWORD],
        "VirtualFreeEx": [wintypes.HANDLE, ctypes.c_void_p, ctypes.c_size_t, wintypes.DWORD],
        "ReadProcessMemory": [wintypes.HANDLE, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p],
        "WriteProcessMemory": [wintypes.HANDLE, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p],
        "GetProcessTimes": [wintypes.HANDLE, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p],
    },
}  # fmt: skip


def _library(name: str) -> Any:
    if sys.platform != "win32":
        raise ImportError("only Windows has these calls")
    library = ctypes.WinDLL(name, use_last_error=True)
    for call in _HANDLES[name]:
        getattr(library, call).restype = wintypes.HANDLE
    for call, arguments in _ARGUMENTS[name].items():
        getattr(library, call).argtypes = arguments
    return library


def user32() -> Any:
    """Load user32: windows, input and the cursor."""
    return _library("user32")


def gdi32() -> Any:
    """Load gdi32: drawing and bitmaps."""
    return _library("gdi32")


def kernel32() -> Any:
    """Load kernel32: processes and their memory."""
    return _library("kernel32")


def is_wine() -> bool:
    """Whether this Windows is Wine; Wine's ntdll says so."""
    return hasattr(ctypes.CDLL("ntdll"), "wine_get_version")
