"""What a browser keeps in its profile: bookmarks, the pages that were visited, cookies.

Bookmarks are the JSON of Chromium's file `Bookmarks`, or its `roots` as the getter gives them. The history is
Chromium's database (tables `urls` and `visits`), or the rows that the getter gives: address, title, time. Cookies are
rows of the table `cookies`, with the host in the second column.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from deskbench.tasks.mutation.kinds.databases import opened_database, tables
from deskbench.tasks.mutation.kinds.text import decoded, encoded
from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

Change = Iterator[tuple[Any, str]]
Tree = dict[str, Any]
Steps = tuple[int, ...]
FEW = 3
LATER = 60_000_000
"""A minute, in the microseconds of Chromium's clock."""
_STRINGS = re.compile(r'"([^"\\]*)"(\s*:)?')
_ABOUT_FORM = re.compile(r'"(type|dest|path)"\s*:\s*"[^"]*"')
"""What a check says of its form, and not of pages."""


# -- bookmarks


def _read_bookmarks(raw: Raw) -> Tree:
    try:
        model = json.loads(decoded(raw)) if isinstance(raw, bytes) else raw
    except (ValueError, RecursionError) as error:
        raise Unlike(f"not JSON: {error}") from None
    if not isinstance(model, dict) or not _roots(model):
        raise Unlike("it has no bookmarks")
    return model


def _roots(model: Tree) -> Tree:
    """The trees by their names."""
    found = model.get("roots", model)
    nodes = found.items() if isinstance(found, dict) else ()
    return {name: node for name, node in nodes if isinstance(node, dict) and isinstance(node.get("children"), list)}


def _write_bookmarks(model: Tree, raw: Raw) -> Raw:
    return encoded(json.dumps(model, indent=3) + "\n", raw) if isinstance(raw, bytes) else model


def _shown(model: Tree) -> Any:
    """What a person sees of bookmarks."""

    def seen(node: Tree) -> Any:
        inner = [seen(child) for child in node.get("children", []) if isinstance(child, dict)]
        return {"name": node.get("name"), "url": node.get("url"), "children": inner}

    return {name: seen(node)["children"] for name, node in _roots(model).items()}


kind("bookmarks", "A browser's bookmarks", read=_read_bookmarks, write=_write_bookmarks, key=_shown)


def _entries(model: Tree) -> list[tuple[str, Steps]]:
    """Every page and folder: the root's name, and the way from it."""

    def below(node: Tree, at: Steps) -> Iterator[Steps]:
        for index, child in enumerate(node.get("children", [])):
            if isinstance(child, dict):
                yield (*at, index)
                yield from below(child, (*at, index))

    return [(name, at) for name, node in _roots(model).items() for at in below(node, ())]


def _instead(place: int, new: list[Any]) -> Callable[[list[Any]], list[Any]]:
    """A change of a folder's children: others in the place of one."""
    return lambda old: [*old[:place], *new, *old[place + 1 :]]


def _and(node: Tree) -> Callable[[list[Any]], list[Any]]:
    """A change of a folder's children: one more."""
    return lambda old: [*old, node]


def _with(model: Tree, root: str, children: Callable[[list[Any]], list[Any]], at: Steps = ()) -> Tree:
    """A copy in which the children of a folder are others."""

    def inside(node: Tree, at: Steps) -> Tree:
        old = list(node.get("children", []))
        if at:
            old[at[0]] = inside(old[at[0]], at[1:])
        return {**node, "children": old if at else children(old)}

    outer = model.get("roots", model)
    trees = {**outer, root: inside(outer[root], at)}
    return {**model, "roots": trees} if "roots" in model else trees


def _at(model: Tree, root: str, at: Steps) -> Tree:
    node: Tree = _roots(model)[root]
    for index in at:
        node = node["children"][index]
    return node


def _said(node: Tree) -> str:
    return repr(str(node.get("name"))[:40])


def _on_entry(change: Callable[[Tree], list[tuple[list[Tree], str]]]) -> Callable[[Tree, About], Change]:
    """An operator's function that puts other entries in the place of one."""

    def changed(model: Tree, about: About) -> Change:
        for root, at in about.some(_entries(model)):
            for new, words in change(_at(model, root, at)):
                yield (
                    _with(model, root, _instead(at[-1], new), at[:-1]),
                    f"{_said(_at(model, root, at))} in {_place(model, root, at)} {words}",
                )

    return changed


def _place(model: Tree, root: str, at: Steps) -> str:
    return "/".join([root, *(str(_at(model, root, at[:n]).get("name")) for n in range(1, len(at)))])


def _other_addresses(node: Tree) -> list[tuple[list[Tree], str]]:
    url = node.get("url")
    if not isinstance(url, str):
        return []
    host = re.sub(r"(?<=//)[^/]+", "other.example", url)
    return [([{**node, "url": new}], f"has the address {new}") for new in (f"{url.rstrip('/')}/more", host)]


def _register(name: str, doc: str, change: Callable[[Tree], list[tuple[list[Tree], str]]]) -> None:
    changed = _on_entry(change)
    changed.__doc__ = doc
    operator(f"bookmarks/{name}", kind="bookmarks", must="fail")(changed)


_register("missing", "A bookmark or folder is missing.", lambda node: [([], "is missing")])
_register("title", "A bookmark or folder has a different name.",
          lambda node: [([{**node, "name": f"{node.get('name')} 2"}], "has a different name")])  # fmt: skip
_register("address", "A bookmark has a different address: a page below it, or a different site.", _other_addresses)
_register("twice", "A bookmark or folder occurs twice.", lambda node: [([node, node], "occurs twice")])


@operator("bookmarks/moved", kind="bookmarks", must="fail")
def moved(model: Tree, about: About) -> Change:
    """A bookmark or folder is in a different folder."""
    for root, at in about.some(_entries(model), FEW):
        node = _at(model, root, at)
        without = _with(model, root, _instead(at[-1], []), at[:-1])
        target = root if len(at) > 1 else next((name for name in _roots(model) if name != root), None)
        if target is not None:
            words = f"{_said(node)} is in {target}, not in {_place(model, root, at)}"
            yield _with(without, target, _and(node)), words


@operator("bookmarks/extra", kind="bookmarks", must="fail")
def extra(model: Tree, about: About) -> Change:
    """There is an extra bookmark or folder in the bar."""
    page = {"type": "url", "name": "Another", "url": "https://other.example/"}
    folder = {"type": "folder", "name": "Another folder", "children": []}
    for root in list(_roots(model))[:1]:
        for node, words in ((page, "a page"), (folder, "a folder")):
            yield _with(model, root, _and(node)), f"there is {words} too many in {root}"


@operator("bookmarks/ids", kind="bookmarks", must="stay")
def ids(model: Tree, about: About) -> Change:
    """The ids and times are different."""

    def renumbered(node: Any) -> Any:
        if isinstance(node, list):
            return [renumbered(item) for item in node]
        if not isinstance(node, dict):
            return node
        found = {name: renumbered(value) for name, value in node.items()}
        others = {"id": "90", "guid": "0" * 8, "date_added": "", "date_last_used": "", "date_modified": "1"}
        return {**found, **{name: str(found[name]) + more for name, more in others.items() if name in found}}

    new = renumbered(model)
    yield ({**new, "checksum": "0" * 32} if "checksum" in new else new), "the ids and times are different"


# -- the history as a database


def _read_history(raw: Raw) -> bytes:
    try:
        with opened_database(raw) as connection:
            if not {"urls", "visits"} <= {*tables(connection)}:
                raise Unlike("it has no tables of pages and visits")
            connection.execute("SELECT url, title, last_visit_time FROM urls")
            connection.execute("SELECT url, visit_time FROM visits")
    except sqlite3.Error as error:
        raise Unlike(f"not a history: {error}") from None
    return bytes(raw)


def _pages(data: bytes) -> list[tuple[int, str, str]]:
    """Number, address and title of each page."""
    with opened_database(data) as connection:
        rows = connection.execute("SELECT id, url, title FROM urls")
        return [(int(number), str(url), str(title)) for number, url, title in rows]


def _visits(data: bytes) -> Any:
    """The pages with the number of their visits."""
    with opened_database(data) as connection:
        counts = dict(connection.execute("SELECT url, count(*) FROM visits GROUP BY url").fetchall())
    return sorted([url, title, counts.get(number, 0)] for number, url, title in _pages(data))


kind("history", "A browser's history", read=_read_history, write=lambda model, raw: model, key=_visits)


def _told_of(data: bytes, about: About) -> list[tuple[int, str, str]]:
    """Some pages: of those that the check names, if it names any."""
    pages = _pages(data)
    return about.some([page for page in pages if _is_named(page[1:], about)] or pages, FEW)


def _altered(data: bytes, *statements: tuple[str, tuple[Any, ...]]) -> bytes:
    with opened_database(data) as connection:
        for statement, values in statements:
            connection.execute(statement, values)
        connection.commit()
        return connection.serialize()


@operator("history/missing", kind="history", must="fail")
def history_missing(data: bytes, about: About) -> Change:
    """A page is not in the history."""
    for number, url, _ in _told_of(data, about):
        gone = (("DELETE FROM visits WHERE url = ?", (number,)), ("DELETE FROM urls WHERE id = ?", (number,)))
        yield _altered(data, *gone), f"{url} is not in the history"


@operator("history/not-visited", kind="history", must="fail")
def not_visited(data: bytes, about: About) -> Change:
    """A page is in the history, but has no visit."""
    for number, url, _ in _told_of(data, about):
        yield _altered(data, ("DELETE FROM visits WHERE url = ?", (number,))), f"{url} has no visit"


@operator("history/address", kind="history", must="fail")
def history_address(data: bytes, about: About) -> Change:
    """A page has a different address."""
    for number, url, _ in _told_of(data, about):
        new = re.sub(r"(?<=//)[^/]+", "other.example", url)
        yield _altered(data, ("UPDATE urls SET url = ? WHERE id = ?", (new, number))), f"{url} is {new}"


@operator("history/times", kind="history", must="stay")
def times(data: bytes, about: About) -> Change:
    """The pages were visited a minute later."""
    later = ("UPDATE urls SET last_visit_time = last_visit_time + ?", (LATER,))
    yield (
        _altered(data, later, ("UPDATE visits SET visit_time = visit_time + ?", (LATER,))),
        "the pages were visited a minute later",
    )


@operator("history/other-table", kind="history", must="stay")
def other_table(data: bytes, about: About) -> Change:
    """There is a table of a different browser version."""
    yield _altered(data, ("CREATE TABLE another_version (id INTEGER)", ())), "there is another table"


# -- rows that getters give


def _read_rows(raw: Raw) -> list[list[Any]]:
    if not isinstance(raw, list) or not all(isinstance(row, list) for row in raw):
        raise Unlike("it has no rows")
    return raw


def _named(about: About) -> list[str]:
    """The texts that a check names, other than keys."""
    found = _STRINGS.findall(_ABOUT_FORM.sub("", about.named))
    return list(dict.fromkeys(text for text, key in found if len(text) > 1 and not key))


def _is_named(texts: Any, about: About) -> bool:
    return any(name in str(text) for name in _named(about) for text in texts)


def _rows_kind(name: str, title: str, row: Callable[[str], list[Any]], what: str) -> None:
    """Register a kind of rows, and its operators.

    Args:
        name, title: of the kind.
        row: makes a row for a page or host.
        what: a row in words.
    """
    kind(name, title, read=_read_rows, write=lambda model, raw: model)

    def there(rows: list[list[Any]], about: About) -> Change:
        known = " ".join(str(cell) for row in rows for cell in row)
        for text in about.some([text for text in _named(about) if text not in known], FEW):
            yield [*rows, row(text)], f"{what} of {text!r} appears"

    def missing(rows: list[list[Any]], about: About) -> Change:
        for index in about.some([index for index, one in enumerate(rows) if _is_named(one, about)], FEW):
            yield rows[:index] + rows[index + 1 :], f"{what} number {index + 1}, which the check names, is missing"

    def other(rows: list[list[Any]], about: About) -> Change:
        yield [*rows, row("unrelated.example")], f"{what} of unrelated.example appears"

    def order(rows: list[list[Any]], about: About) -> Change:
        if len(rows) > 1:
            yield rows[::-1], "the rows are in reverse order"

    for function, doc, must in (
        (there, f"{what[0].upper()}{what[1:]} that the check names appears", "fail"),
        (missing, f"{what[0].upper()}{what[1:]} that the check names is missing", "fail"),
        (other, f"{what[0].upper()}{what[1:]} that no task is about appears", "stay"),
        (order, "The rows are in reverse order", "stay"),
    ):
        function.__doc__ = f"{doc}."
        operator(f"{name}/{function.__name__}", kind=name, must=must)(function)  # type: ignore[arg-type]


_rows_kind("visited", "Rows of a browser's history", lambda text: [f"https://{text}/", text, 13_400_000_000_000_000],
           "a page")  # fmt: skip
_rows_kind("cookies", "Rows of a browser's cookies", lambda text: [13_400_000_000_000_000, text, "", "id"],
           "a cookie")  # fmt: skip
