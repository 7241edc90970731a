"""The windows and their controls as OSWorld's XML for Windows: classes, texts, places, states.

What is read is the tree of window handles, which every program of the classic toolkit has. A program that draws its
controls itself shows as one node here; UI Automation, which would know more, is not asked.
"""

from __future__ import annotations

import re
import time
from xml.sax.saxutils import quoteattr

from deskbench.envs.server.win32.windows import Windows

NAMESPACE = "https://accessibility.windows.example.org/ns"
PREFIXES = {
    "st": "state", "attr": "attributes", "cp": "component", "doc": "document", "docattr": "document/attributes",
    "txt": "text", "val": "value", "act": "action", "class": "class",
}  # fmt: skip
"""As OSWorld's server names them."""
ROLES = {
    "button": "Button", "edit": "Edit", "static": "Text", "combobox": "ComboBox", "listbox": "ListBox",
    "syslistview32": "List", "systreeview32": "TreeView", "systabcontrol32": "TabControl", "scrollbar": "ScrollBar",
    "msctls_statusbar32": "StatusBar", "toolbarwindow32": "Toolbar", "msctls_updown32": "UpDown",
    "msctls_trackbar32": "Slider", "msctls_progress32": "ProgressBar", "richedit20w": "Document",
    "richedit50w": "Document", "#32770": "Dialog", "sysheader32": "Header",
}  # fmt: skip
"""Window classes to pywinauto's control types."""
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def tree(windows: Windows, timeout: float) -> tuple[str, bool]:
    """The XML, and whether it is whole.

    Args:
        windows: of the session.
        timeout: seconds; what was read by then is answered.
    """
    deadline = time.monotonic() + timeout
    names = " ".join(f'xmlns:{prefix}="{NAMESPACE}/{name}"' for prefix, name in PREFIXES.items())
    parts, whole = [f"<desktop {names}>"], True
    for handle in windows.handles():
        if time.monotonic() > deadline:
            whole = False
            break
        if not windows.text(handle) and not windows.children(handle):
            continue
        parts.append(_opened(windows, handle, "Window"))
        for child in windows.children(handle):
            if time.monotonic() > deadline:
                whole = False
                break
            parts.append(_opened(windows, child, None) + _close(windows, child, None))
        parts.append(_close(windows, handle, "Window"))
    return "".join([*parts, "</desktop>"]), whole


def _role(windows: Windows, handle: int, role: str | None) -> str:
    found = windows.class_name(handle)
    name = role or ROLES.get(found.lower(), "Pane")
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _opened(windows: Windows, handle: int, role: str | None) -> str:
    x, y, width, height = windows.rectangle(handle)
    text = _NOT_IN_XML.sub("", windows.text(handle))
    states = {"visible": windows.visible(handle), "enabled": windows.enabled(handle),
              "active": windows.active() == handle}  # fmt: skip
    attributes = "".join(f' st:{name}="{str(value).lower()}"' for name, value in states.items())
    place = f' cp:screencoord="({x}, {y})" cp:size="({width}, {height})"' if windows.visible(handle) else ""
    kind = f" class:class_name={quoteattr(windows.class_name(handle))}"
    return f"<{_role(windows, handle, role)} name={quoteattr(text)}{attributes}{place}{kind}>"


def _close(windows: Windows, handle: int, role: str | None) -> str:
    return f"</{_role(windows, handle, role)}>"
