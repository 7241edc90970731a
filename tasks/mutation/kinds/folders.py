"""Folders in the form of `list_directory`: {"type", "name", "children"}."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deskbench.tasks.mutation.operators import About, kind, operator


def _read(raw: Any) -> Any:
    return raw


def _write(model: Any, raw: Any) -> Any:
    return model


kind("tree", "Folders", read=_read, write=_write, key=lambda model: sorted(_paths(model, "")))

Node = dict[str, Any]
Trees = Iterator[tuple[Node, str]]
Way = tuple[int, ...]


def _paths(node: Node, above: str) -> Iterator[str]:
    name = f"{above}{node.get('name', '')}"
    yield f"{name} ({node.get('type')})"
    for child in node.get("children") or []:
        yield from _paths(child, f"{name}/")


def _nodes(node: Node, at: Way = ()) -> Iterator[tuple[Way, Node]]:
    yield at, node
    for n, child in enumerate(node.get("children") or []):
        yield from _nodes(child, (*at, n))


def _with_children(node: Node, at: Way, children: list[Node]) -> Node:
    """A copy in which the folder at a path has different children."""
    if not at:
        return {**node, "children": children}
    inner = list(node["children"])
    inner[at[0]] = _with_children(inner[at[0]], at[1:], children)
    return {**node, "children": inner}


def _folder(tree: Node, at: Way) -> list[Node]:
    for n in at:
        tree = tree["children"][n]
    return list(tree.get("children") or [])


def _entries(tree: Node) -> list[tuple[Way, Node]]:
    """All files and folders in a tree, except hidden ones."""
    return [(at, node) for at, node in _nodes(tree) if at and not str(node["name"]).startswith(".")]


def _instead(tree: Node, at: Way, *new: Node) -> Node:
    """A copy in which one node is replaced by others."""
    siblings = _folder(tree, at[:-1])
    return _with_children(tree, at[:-1], [*siblings[: at[-1]], *new, *siblings[at[-1] + 1 :]])


@operator("tree/missing", kind="tree", must="fail")
def missing(tree: Node, about: About) -> Trees:
    """A file or folder is missing."""
    for at, node in about.some(_entries(tree)):
        yield _instead(tree, at), f"{node['name']} is missing"


@operator("tree/extra", kind="tree", must="fail")
def extra(tree: Node, about: About) -> Trees:
    """There is an extra file or folder, which should have been moved or deleted."""
    folders = [(at, node) for at, node in _nodes(tree) if node.get("type") == "directory"]
    for at, node in about.some(folders, 3):
        for new in ({"type": "file", "name": "copy of it.txt"}, {"type": "directory", "name": "New", "children": []}):
            yield _with_children(tree, at, [*_folder(tree, at), new]), f"{new['name']!r} is in {node['name']} as well"


@operator("tree/renamed", kind="tree", must="fail")
def renamed(tree: Node, about: About) -> Trees:
    """A name is different: its case, its extension, a number in it."""
    for at, node in about.some(_entries(tree)):
        name = str(node["name"])
        stem, dot, ending = name.rpartition(".")
        for new in (name.swapcase(), f"{stem or ending} (2){dot}{ending if stem else ''}", name + "~"):
            yield _instead(tree, at, {**node, "name": new}), f"{name} is called {new}"


@operator("tree/moved-up", kind="tree", must="fail")
def moved_up(tree: Node, about: About) -> Trees:
    """A file or folder is one level too high."""
    for at, node in about.some([(at, node) for at, node in _entries(tree) if len(at) > 1]):
        without = _instead(tree, at)
        yield (
            _with_children(without, at[:-2], [*_folder(without, at[:-2]), node]),
            f"{node['name']} is one level higher",
        )


@operator("tree/moved-down", kind="tree", must="fail")
def moved_down(tree: Node, about: About) -> Trees:
    """A file or folder is in a neighbouring folder, which may be new."""
    for at, node in about.some(_entries(tree)):
        beside = {"type": "directory", "name": "Other", "children": [node]}
        yield _instead(tree, at, beside), f"{node['name']} is in a folder 'Other'"


@operator("tree/other-type", kind="tree", must="fail")
def other_type(tree: Node, about: About) -> Trees:
    """A file is a folder with its name, or a folder is a file."""
    for at, node in about.some(_entries(tree)):
        if node.get("type") == "directory":
            yield _instead(tree, at, {"type": "file", "name": node["name"]}), f"{node['name']} is a file"
        else:
            new = {"type": "directory", "name": node["name"], "children": []}
            yield _instead(tree, at, new), f"{node['name']} is a folder"


@operator("tree/hidden", kind="tree", must="stay")
def hidden(tree: Node, about: About) -> Trees:
    """There is a hidden file that a file manager writes."""
    for name in (".directory", ".DS_Store"):
        yield _with_children(tree, (), [*_folder(tree, ()), {"type": "file", "name": name}]), f"{name} is there"


@operator("tree/order", kind="tree", must="stay")
def order(tree: Node, about: About) -> Trees:
    """The entries are in reverse order."""
    yield _backwards(tree), "everything is listed in reverse order"


def _backwards(node: Node) -> Node:
    children = node.get("children")
    return {**node, "children": [_backwards(child) for child in reversed(children)]} if children else node
