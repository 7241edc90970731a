"""The reference arm's accessibility tree: each node's properties, one after another, in the server's process.

Run as `/usr/bin/python3 reference_tree.py PORT` in a session; `GET /accessibility` answers {"AT": xml, "nodes": n}.
"""

import json
import sys
import xml.etree.ElementTree as ET
from http.server import BaseHTTPRequestHandler, HTTPServer

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi  # noqa: E402


def element(node, depth):  # noqa: C901
    """One node with everything that OSWorld's server reads from it."""
    made = ET.Element(node.get_role_name().replace(" ", "-") or "unknown", name=node.get_name() or "")
    states = node.get_state_set()
    for state in states.get_states():
        made.set("st-" + state.value_nick, "true")
    for key, value in (node.get_attributes() or {}).items():
        made.set("attr-" + key, value)
    if states.contains(Atspi.StateType.VISIBLE) and states.contains(Atspi.StateType.SHOWING):
        component = node.get_component_iface()
        if component is not None:
            box = component.get_extents(Atspi.CoordType.SCREEN)
            made.set("at", str((box.x, box.y, box.width, box.height)))
    text = node.get_text_iface()
    if text is not None:
        made.text = Atspi.Text.get_text(text, 0, Atspi.Text.get_character_count(text))
    value = node.get_value_iface()
    if value is not None:
        for name in ("current", "minimum", "maximum"):
            made.set(name, str(getattr(value, f"get_{name}_value")()))
    action = node.get_action_iface()
    if action is not None:
        for index in range(action.get_n_actions()):
            made.set(f"act{index}", action.get_action_description(index) + action.get_key_binding(index))
    if depth < 50:
        for index in range(min(node.get_child_count(), 1024)):
            child = node.get_child_at_index(index)
            if child is not None:
                made.append(element(child, depth + 1))
    return made


class Handler(BaseHTTPRequestHandler):
    """Answers with the current tree."""

    def do_GET(self):
        """Walk the tree and answer."""
        root = ET.Element("desktop-frame")
        desktop = Atspi.get_desktop(0)
        for index in range(desktop.get_child_count()):
            application = desktop.get_child_at_index(index)
            application.clear_cache()
            root.append(element(application, 0))
        body = json.dumps({"AT": ET.tostring(root, "unicode"), "nodes": sum(1 for _ in root.iter())}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Log nothing."""


HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
