"""Values: the agent's answer, the clipboard, what a command prints, numbers, folders and windows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deskbench.tasks.mutation.kinds.settings import neighbours
from deskbench.tasks.mutation.operators import About, kind, operator

Texts = Iterator[tuple[str, str]]


def _plain(raw: Any) -> Any:
    return raw


def _as_is(model: Any, raw: Any) -> Any:
    return model


kind("answer", "The agent's answer", read=_plain, write=_as_is)
kind("clipboard", "The clipboard", read=_plain, write=_as_is)
kind("output", "A line that a command or a program says", read=_plain, write=_as_is, key=lambda model: model.strip())
kind("number", "Numbers and truths", read=_plain, write=_as_is)


def changed(text: str) -> list[str]:
    """Texts near this one: a number that is the next one, a word that is another, a letter less, the other case."""
    found = []
    for m in list(re.finditer(r"\d+", text))[:2]:
        for value in {str(int(m[0]) + 1), str(abs(int(m[0]) - 1)), m[0] + "0"}:
            found.append(text[: m.start()] + value + text[m.end() :])
    words = list(re.finditer(r"[^\W\d_]+", text))
    if words:
        found += [other + text[len(text.strip()) :] for other in neighbours(text.strip())]
        found.append(text.replace(words[0][0], words[0][0].swapcase(), 1))
        found.append(text.replace(words[-1][0], words[-1][0][::-1], 1))
    return sorted({value for value in found if value.strip() != text.strip()})


def other(text: str, about: About) -> Texts:
    """It is another: the next number, another word, a letter less, the other case."""
    for value in about.some(changed(text), 8):
        yield value, f"it is {_shown(value)}, not {_shown(text)}"


def empty(text: str, about: About) -> Texts:
    """It is empty."""
    yield "", "it is empty"


def more(text: str, about: About) -> Texts:
    """Something stands before or after what is right."""
    body, end = text.rstrip(), text[len(text.rstrip()) :]
    yield f"not {body}{end}", f"'not' stands before {_shown(body)}"
    yield f"{body} and more{end}", f"'and more' stands after {_shown(body)}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


for _kind in ("answer", "clipboard", "output"):
    operator(f"{_kind}/other", kind=_kind, must="fail")(other)
    operator(f"{_kind}/empty", kind=_kind, must="fail")(empty)
    operator(f"{_kind}/more", kind=_kind, must="fail")(more)


def candidates(text: str, about: About) -> Texts:
    """Several values are listed, the right one among them."""
    body = text.strip()
    near = changed(body)
    if near:
        yield f"{near[0]}, {body}, {near[-1]}", f"{_shown(body)} stands between two others"
        yield f"{body}\n{near[0]}", f"{_shown(near[0])} stands in a second line"


operator("answer/candidates", kind="answer", must="fail")(candidates)
operator("clipboard/candidates", kind="clipboard", must="fail")(candidates)


@operator("clipboard/newline", kind="clipboard", must="fail")
def newline(text: str, about: About) -> Texts:
    """The end of the line is copied as well."""
    yield text + "\n", "the end of the line is copied as well"


@operator("answer/contradicted", kind="answer", must="fail")
def contradicted(text: str, about: About) -> Texts:
    """A second answer takes the first one back."""
    for value in changed(text)[:1]:
        yield f"{text.strip()}. No, it is {value.strip()}.", f"it is taken back: {_shown(value)}"


@operator("answer/unit", kind="answer", must="fail")
def unit(text: str, about: About) -> Texts:
    """A number has a unit that nobody asked for."""
    if re.fullmatch(r"[\d.,]+", text.strip()):
        yield f"{text.strip()} km", "the number has a unit"


@operator("answer/blanks", kind="answer", must="stay")
def blanks(text: str, about: About) -> Texts:
    """Blanks or a line's end stand around it."""
    yield f" {text}\n", "a blank stands before it, the end of a line after it"


@operator("answer/case", kind="answer", must="stay")
def case(text: str, about: About) -> Texts:
    """Its letters are of the other case, where the instruction does not ask for it exactly."""
    if not about.exact and text.upper() != text:
        yield text.upper(), "it is written in capitals"


@operator("answer/sentence", kind="answer", must="stay")
def sentence(text: str, about: About) -> Texts:
    """It stands in a sentence, where the instruction does not ask for it alone."""
    if not about.exact:
        yield f"The answer is {text.strip()}.", "it stands in a sentence"


@operator("number/other", kind="number", must="fail")
def other_number(value: Any, about: About) -> Iterator[tuple[Any, str]]:
    """It is the next number, the one before, of the other sign, or the other truth."""
    if isinstance(value, bool):
        yield not value, f"it is {not value}"
        return
    for new in dict.fromkeys((value + 1, value - 1, -value, value * 10)):
        if new != value:
            yield new, f"it is {new}, not {value}"


# -- lists of titles

kind("windows", "Titles of windows", read=_plain, write=_as_is)


def _titled(titles: Any) -> list[str]:
    return [str(title) for title in titles]


@operator("windows/closed", kind="windows", must="fail")
def closed(titles: Any, about: About) -> Iterator[tuple[Any, str]]:
    """A window that the check names is closed."""
    for n in about.some([n for n, title in enumerate(_titled(titles)) if title and title in about.named]):
        yield titles[:n] + titles[n + 1 :], f"the window {titles[n]!r} is closed"


@operator("windows/unsaved", kind="windows", must="fail")
def unsaved(titles: Any, about: About) -> Iterator[tuple[Any, str]]:
    """A window that the check names shows that something is not saved."""
    for n in about.some([n for n, title in enumerate(_titled(titles)) if title and title in about.named]):
        yield [*titles[:n], f"*{titles[n]}", *titles[n + 1 :]], f"the title of {titles[n]!r} begins with a star"


@operator("windows/order", kind="windows", must="stay")
def window_order(titles: Any, about: About) -> Iterator[tuple[Any, str]]:
    """Other windows are in front."""
    if len(titles) > 1:
        yield [*titles[1:], titles[0]], "another window is in front"


# -- folders

kind("tree", "Folders", read=_plain, write=_as_is, key=lambda model: sorted(_paths(model, "")))

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
    """A copy in which the folder there has other children."""
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
    """Everything in it, hidden files apart."""
    return [(at, node) for at, node in _nodes(tree) if at and not str(node["name"]).startswith(".")]


def _instead(tree: Node, at: Way, *new: Node) -> Node:
    """A copy that has others in the place of one."""
    siblings = _folder(tree, at[:-1])
    return _with_children(tree, at[:-1], [*siblings[: at[-1]], *new, *siblings[at[-1] + 1 :]])


@operator("tree/missing", kind="tree", must="fail")
def missing(tree: Node, about: About) -> Trees:
    """A file or folder is not there."""
    for at, node in about.some(_entries(tree)):
        yield _instead(tree, at), f"{node['name']} is not there"


@operator("tree/extra", kind="tree", must="fail")
def extra(tree: Node, about: About) -> Trees:
    """A file or folder too many is there: what should have been moved or deleted."""
    folders = [(at, node) for at, node in _nodes(tree) if node.get("type") == "directory"]
    for at, node in about.some(folders, 3):
        for new in ({"type": "file", "name": "copy of it.txt"}, {"type": "directory", "name": "New", "children": []}):
            yield _with_children(tree, at, [*_folder(tree, at), new]), f"{new['name']!r} is in {node['name']} as well"


@operator("tree/renamed", kind="tree", must="fail")
def renamed(tree: Node, about: About) -> Trees:
    """A name is another: in its case, its ending, by a number."""
    for at, node in about.some(_entries(tree)):
        name = str(node["name"])
        stem, dot, ending = name.rpartition(".")
        for new in (name.swapcase(), f"{stem or ending} (2){dot}{ending if stem else ''}", name + "~"):
            yield _instead(tree, at, {**node, "name": new}), f"{name} is called {new}"


@operator("tree/moved-up", kind="tree", must="fail")
def moved_up(tree: Node, about: About) -> Trees:
    """A file or folder stands one level too high."""
    for at, node in about.some([(at, node) for at, node in _entries(tree) if len(at) > 1]):
        without = _instead(tree, at)
        yield (
            _with_children(without, at[:-2], [*_folder(without, at[:-2]), node]),
            f"{node['name']} is one level higher",
        )


@operator("tree/moved-down", kind="tree", must="fail")
def moved_down(tree: Node, about: About) -> Trees:
    """A file or folder stands in a folder beside it, which may be new."""
    for at, node in about.some(_entries(tree)):
        beside = {"type": "directory", "name": "Other", "children": [node]}
        yield _instead(tree, at, beside), f"{node['name']} stands in a folder 'Other'"


@operator("tree/other-type", kind="tree", must="fail")
def other_type(tree: Node, about: About) -> Trees:
    """A file is a folder of that name, or a folder a file."""
    for at, node in about.some(_entries(tree)):
        if node.get("type") == "directory":
            yield _instead(tree, at, {"type": "file", "name": node["name"]}), f"{node['name']} is a file"
        else:
            new = {"type": "directory", "name": node["name"], "children": []}
            yield _instead(tree, at, new), f"{node['name']} is a folder"


@operator("tree/hidden", kind="tree", must="stay")
def hidden(tree: Node, about: About) -> Trees:
    """A file is there that a file manager keeps for itself."""
    for name in (".directory", ".DS_Store"):
        yield _with_children(tree, (), [*_folder(tree, ()), {"type": "file", "name": name}]), f"{name} is there"


@operator("tree/order", kind="tree", must="stay")
def order(tree: Node, about: About) -> Trees:
    """It is listed in the reverse order."""
    yield _backwards(tree), "everything is listed in the reverse order"


def _backwards(node: Node) -> Node:
    children = node.get("children")
    return {**node, "children": [_backwards(child) for child in reversed(children)]} if children else node
