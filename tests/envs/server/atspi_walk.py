"""Reads the accessibility tree slowly and plainly through the platform's own library; prints it as JSON.

A node is [role, name, states, attributes, box or null, text, values, actions, flags, children].
"""

import json
import sys

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi  # noqa: E402

S = Atspi.StateType


def values(node):
    value = node.get_value_iface()
    if value is None:
        return {}
    parts = {"value": "current_value", "min": "minimum_value", "max": "maximum_value", "step": "minimum_increment"}
    return {key: str(getattr(value, f"get_{name}")()) for key, name in parts.items()}


def actions(node):
    action = node.get_action_iface()
    if action is None:
        return {}
    every = range(action.get_n_actions())
    return {
        action.get_action_name(i).replace(" ", "-"): [action.get_action_description(i), action.get_key_binding(i)]
        for i in every
    }


def text(node):
    found = node.get_text_iface()
    if found is None:
        return ""
    whole = Atspi.Text.get_text(found, 0, Atspi.Text.get_character_count(found))
    return whole.replace("\ufffc", "").replace("\ufffd", "")


def box(node, states):
    component = node.get_component_iface()
    if component is None or not (states.contains(S.VISIBLE) and states.contains(S.SHOWING)):
        return None
    found = component.get_extents(Atspi.CoordType.SCREEN)
    return [found.x, found.y, found.width, found.height]


def read(node):
    states = node.get_state_set()
    interfaces = node.get_interfaces()
    children = (node.get_child_at_index(index) for index in range(node.get_child_count()))
    return [
        node.get_role_name().replace(" ", "-"),
        node.get_name(),
        sorted(state.value_nick.replace("-", "_") for state in states.get_states()),
        dict(node.get_attributes() or {}),
        box(node, states),
        text(node),
        values(node),
        actions(node),
        [flag.lower() for flag in ("Image", "Selection") if flag in interfaces],
        [read(child) for child in children if child is not None],
    ]


desktop = Atspi.get_desktop(0)
applications = (desktop.get_child_at_index(index) for index in range(desktop.get_child_count()))
sys.stdout.write(json.dumps([read(application) for application in applications]))
