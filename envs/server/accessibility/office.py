"""Corrects positions in LibreOffice's windows, which it reports as if there were no menu bar.

Its GTK plug-in puts what LibreOffice draws itself, the `root pane`, into a GTK panel below the menu bar. But it reports
positions in the pane relative to the window's own corner. With 7.4 on Debian 12, everything is 25 pixels too high, and
a click on a named button hits the row above. Positions of GTK's own widgets inside the pane are correct.
"""

from __future__ import annotations

from collections.abc import Iterable

from deskbench.envs.server.accessibility.markup import Node

_PANE = "root pane"


def put_below_menu_bars(applications: Iterable[Node]) -> None:
    """Move what LibreOffice draws itself to its real position on the screen."""
    waiting = list(applications)
    while waiting:
        node = waiting.pop()
        waiting += node.children
        for child in node.children:
            if child.role == _PANE and node.box and child.box and _is_gtks(node) and not _is_gtks(child):
                _move(child, node.box[0] - child.box[0], node.box[1] - child.box[1])


def _is_gtks(node: Node) -> bool:
    return node.attributes.get("toolkit") == "gtk"


def _move(pane: Node, right: int, down: int) -> None:
    waiting = [pane]
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.box is not None and not _is_gtks(node):
            x, y, width, height = node.box
            node.box = (x + right, y + down, width, height)
