"""The accessibility tree equals that of the platform's own library, node for node; no program can break it."""

from __future__ import annotations

import contextlib
import json
import struct
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.envs import wait
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.providers.pool import Pool
from deskbench.envs.server.accessibility import messages
from deskbench.envs.server.accessibility.linux import ACTIONS, ATTRIBUTES, CHILDREN, INTERFACES, NAME, ROLE, STATE, TEXT
from deskbench.envs.server.accessibility.markup import NAMESPACES, Node, to_xml
from deskbench.envs.server.accessibility.messages import MessageError
from deskbench.envs.types import Click, Key, Type
from deskbench.envs.wire import Observe
from tests.buttons import NAMES as BUTTONS
from tests.buttons import show as show_buttons

HERE = Path(__file__).parent
TREE = Observe(policy="immediate", screenshot=False, accessibility=True)
TERMINAL = Observe(screenshot=False, terminal=True)
PATIENCE = 20.0


def read(desktop: Desktop) -> tuple[ET.Element, bool]:
    """The parsed tree, and whether it is complete."""
    seen = desktop.observe(TREE)
    assert seen.accessibility is not None, seen.problems
    return ET.fromstring(seen.accessibility), bool(seen.accessibility_complete)


def start_ours(desktop: Desktop, name: str, *more: str) -> None:
    desktop.write_file(f"~/{name}.py", (HERE / "gtk_tree.py").read_bytes())
    home = desktop.run("echo $HOME", shell=True).stdout.strip()
    desktop.launch(["/usr/bin/python3", f"{home}/{name}.py", name, *more])


def reference(desktop: Desktop) -> list[list[Any]]:
    """The same tree from the platform's library, in a separate process."""
    done = desktop.run(["/usr/bin/python3", "-W", "ignore", "-c", (HERE / "atspi_walk.py").read_text()])
    assert done.returncode == 0, done.stderr
    found: list[list[Any]] = json.loads(done.stdout)
    return found


def part(element: ET.Element, prefix: str) -> dict[str, str]:
    """The attributes of one namespace, without its prefix."""
    space = "{" + NAMESPACES[prefix] + "}"
    return {key[len(space) :]: value for key, value in element.attrib.items() if key.startswith(space)}


def as_reference(element: ET.Element) -> list[Any]:
    """An element in the form of `reference`."""
    where, actions = part(element, "cp"), part(element, "act")
    names = [key.removesuffix("_desc") for key in actions if key.endswith("_desc")]
    return [
        element.tag,
        element.get("name"),
        sorted(part(element, "st")),
        part(element, "attr"),
        [*json.loads(f"[{where['screencoord'][1:-1]},{where['size'][1:-1]}]")] if where else None,
        element.text or "",
        part(element, "val"),
        {name: [actions[f"{name}_desc"], actions[f"{name}_kb"]] for name in names},
        [flag for flag in ("image", "selection") if element.get(flag) == "true"],
        [as_reference(child) for child in element],
    ]


def count(root: ET.Element, application: str) -> int:
    """The number of an application's nodes."""
    return sum(1 for child in root if child.get("name") == application for _ in child.iter())


def first_difference(ours: list[Any], theirs: list[Any], path: str = "") -> str | None:
    """The first difference of two nodes, as readable text."""
    where = f"{path}/{theirs[0]}[{theirs[1]!r}]"
    if ours[:-1] != theirs[:-1]:
        return f"{where}: {[(a, b) for a, b in zip(ours[:-1], theirs[:-1], strict=True) if a != b]}"
    if len(ours[-1]) != len(theirs[-1]):
        return f"{where}: {len(ours[-1])} children, not {len(theirs[-1])}"
    pairs = zip(ours[-1], theirs[-1], strict=True)
    return next((found for a, b in pairs if (found := first_difference(a, b, where))), None)


def assert_same_tree(desktop: Desktop) -> ET.Element:
    """Check that both readings agree once the programs have stopped changing."""
    last: list[str | None] = []

    def agree() -> bool:
        root, whole = read(desktop)
        trees: list[Any] = ["", "", [], {}, None, "", {}, {}, []]
        last[:] = [first_difference([*trees, list(map(as_reference, root))], [*trees, reference(desktop)])]
        return whole and last == [None]

    assert wait.until(agree, timeout=PATIENCE), str(last)
    return read(desktop)[0]


@pytest.mark.desktop
def test_programs_have_the_same_nodes_as_the_platforms_library_reads(desktop: Desktop) -> None:
    """Role, name, states, attributes, place, text, values, actions and order, of every node of six programs."""
    for program in ("mousepad", "galculator", "lxterminal", "pcmanfm"):
        desktop.launch([program])
    desktop.act([Type("some text\nof mine")])
    start_ours(desktop, "Everything")
    root = assert_same_tree(desktop)
    assert root.tag == "desktop-frame"
    roles = {element.tag for element in root.iter()}
    assert {"terminal", "push-button", "menu-item", "table-cell", "slider", "tree-table", "password-text"} <= roles
    [slider] = root.iter("slider")
    assert part(slider, "val") == {"value": "3.5", "min": "0.0", "max": "10.0", "step": "0.5"}


@pytest.mark.desktop
def test_places_are_pixels_of_the_screen(desktop: Desktop) -> None:
    """The tree's positions inside a window match those of X."""
    start_ours(desktop, "Placed")
    [frame] = [element for element in read(desktop)[0].iter("frame") if element.get("name") == "Placed"]
    [window] = [window for window in desktop.windows() if window.title == "Placed"]
    assert part(frame[0], "cp") == {
        "screencoord": f"({window.x}, {window.y})", "size": f"({window.width}, {window.height})",
    }  # fmt: skip


@pytest.mark.desktop
def test_an_open_menu_is_in_the_tree(desktop: Desktop) -> None:
    desktop.launch(["mousepad"])
    desktop.act([Key(("alt", "f"))])
    root = assert_same_tree(desktop)
    shown = [(item.get("name") or "").strip() for item in root.iter("menu-item") if "showing" in part(item, "st")]
    assert "New" in shown


@pytest.mark.desktop
def test_a_program_that_hangs_leaves_a_tree_without_its_nodes(desktop: Desktop) -> None:
    """The other trees are complete, it is named as an application, and everything works again when it continues."""
    desktop.launch(["galculator"])
    desktop.launch(["mousepad"])
    whole, complete = read(desktop)
    assert complete
    desktop.run(["pkill", "-STOP", "mousepad"])
    for _ in range(3):
        partial, complete = read(desktop)
        assert not complete
        assert len(partial) == len(whole)
        assert [e.get("name") for e in partial.iter("frame")] == ["galculator"]
        assert count(partial, "galculator") == count(whole, "galculator") > 50
        assert desktop.observe(TERMINAL).terminal is None
    desktop.run(["pkill", "-CONT", "mousepad"])
    assert wait.until(lambda: read(desktop)[1], timeout=PATIENCE)
    assert_same_tree(desktop)


@pytest.mark.desktop
def test_a_program_that_hung_before_it_was_ever_read_is_left_out_the_same(desktop: Desktop) -> None:
    desktop.launch(["galculator"])
    desktop.run(["pkill", "-STOP", "galculator"])
    root, complete = read(desktop)
    assert not complete
    assert "application" in [child.tag for child in root]


@pytest.mark.desktop
def test_programs_that_end_are_gone_and_new_ones_are_there(desktop: Desktop) -> None:
    desktop.launch(["galculator"])
    assert "galculator" in [child.get("name") for child in read(desktop)[0]]
    desktop.run(["pkill", "-KILL", "galculator"])
    assert wait.until(lambda: "galculator" not in [c.get("name") for c in read(desktop)[0]], timeout=PATIENCE)
    desktop.launch(["mousepad"])
    assert "mousepad" in [child.get("name") for child in read(desktop)[0]]
    assert_same_tree(desktop)


@pytest.mark.desktop
def test_hostile_names_and_huge_texts_make_a_well_formed_tree(desktop: Desktop) -> None:
    """Characters that XML cannot hold are left out; everything else arrives unchanged."""
    start_ours(desktop, "Hostile", "hostile")
    seen: list[ET.Element] = []

    def whole() -> bool:
        root, complete = read(desktop)
        seen[:] = [root]
        return complete and any("end" in (element.get("name") or "") for element in root.iter("push-button"))

    assert wait.until(whole, timeout=PATIENCE)  # a busy machine is slow to say two megabytes
    [root] = seen
    [button] = [element for element in root.iter("push-button") if "end" in (element.get("name") or "")]
    assert button.get("name") == "[31m <b>&amp;\"'  ]]> \r\n\t \U0001f600 \u202e end"
    [text] = [element for element in root.iter("text") if (element.text or "").endswith("END")]
    assert len(text.text or "") > 2_000_000


@pytest.mark.desktop
def test_a_program_that_says_without_end_costs_its_own_nodes_and_no_memory(desktop: Desktop) -> None:
    """Omissions are reported; the next reading, without the huge part, is complete."""
    start_ours(desktop, "Huge", "huge")
    server = "cat /proc/$(pgrep -o -f deskbench.envs.server)/status | grep VmHWM | tr -dc 0-9"
    for _ in range(2):
        seen = desktop.observe(TREE)
        assert seen.problems or not seen.accessibility_complete
        assert len(seen.accessibility or "") < 25_000_000
    assert int(desktop.run(server, shell=True).stdout) < 700_000, "kilobytes"
    desktop.run(["pkill", "-KILL", "-f", "Huge.py"])
    assert wait.until(lambda: read(desktop)[1], timeout=PATIENCE)


@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 2**32 - 1))
def test_bytes_that_are_no_message_end_no_more_than_their_connection(data: bytes, fields: int, body: int) -> None:
    """A program on the bus may send these to whoever asks it something."""
    head = b"l\2\0\1" + struct.pack("<III", body % 200, 1, fields)
    huge = b"l\2\0\1" + struct.pack("<III", body, 1, fields)
    for buffer in (bytearray(data), bytearray(head + data), bytearray(huge)):
        try:
            answer = messages.take(buffer, 0)
        except MessageError:
            continue
        for question in (NAME, ROLE, STATE, INTERFACES, ATTRIBUTES, CHILDREN, TEXT, ACTIONS):
            with contextlib.suppress(MessageError, struct.error):
                question.decode(answer.body if answer else data)


def test_the_markup_is_well_formed_whatever_a_node_says() -> None:
    """Names of attributes and actions come from programs as well, and two may become equal."""
    bad = "\x00\x08\ud800\udfff\ufffe<&>\"'"
    node = Node(
        "", "", name=bad, role="a role", text=bad + "\ufffc\ufffd", states=frozenset({"showing"}),
        attributes={"a b": "1", "a-b": "2", "9<x>": bad, "": "", "²": "", "é:": ""},
        actions=[("click it", bad, bad), ("click-it", "", "second"), ("", "", "")], values={"value": bad},
    )  # fmt: skip
    [element] = ET.fromstring(to_xml([node]).encode())
    assert element.tag == "a-role"
    assert element.get("name") == "<&>\"'" == element.text
    assert part(element, "attr")["a-b"] == "2"
    assert part(element, "act")["click-it_kb"] == "second"


@pytest.mark.desktop
def test_the_terminals_text_is_that_of_the_focused_terminal_in_the_active_window(desktop: Desktop) -> None:
    assert desktop.observe(TERMINAL).terminal is None
    desktop.launch(["lxterminal"])
    desktop.act([Type("echo $((40+2))x\n")])
    text: list[str | None] = [None]

    def shown() -> bool:
        text[0] = desktop.observe(TERMINAL).terminal
        return "42x" in (text[0] or "").splitlines()

    assert wait.until(shown, timeout=PATIENCE), text
    assert text[0] == (text[0] or "").rstrip()
    desktop.launch(["mousepad"])
    assert desktop.observe(TERMINAL).terminal is None
    desktop.activate_window("lxterminal", by_class=True)
    assert wait.until(shown, timeout=PATIENCE), text


SHEET = 'soffice --calc --norestore --nologo --infilter="CSV:44,34,76,1" ~/sheet.csv'


@pytest.mark.slow
def test_a_sheet_is_read_as_far_as_it_is_shown(desktop: Desktop) -> None:
    """It has 17 thousand million cells.

    Reading it repeatedly works, and leaves the program nothing to do afterwards.
    """
    rows = "\n".join(",".join(f"r{row}c{column}" for column in range(20)) for row in range(500))
    desktop.write_file("~/sheet.csv", rows.encode())
    desktop.launch(SHEET, shell=True)
    assert wait.until(lambda: any("Calc" in window.title for window in desktop.windows()), timeout=3 * PATIENCE)
    desktop.observe()
    sizes = set()
    for _ in range(10):
        tree, whole = read(desktop)
        assert whole
        cells = [element for element in tree.iter("table-cell") if element.get("name")]
        sizes.add(len(cells))
    assert len(sizes) == 1 and 100 < sizes.pop() < 2000
    assert {"A1", "B2"} <= {cell.get("name") for cell in cells}
    texts = {cell.text for cell in cells}
    assert "r0c0" in texts and "r400c0" not in texts
    desktop.act([Key(("ctrl", "end"))])
    tree, whole = read(desktop)
    texts = {cell.text for cell in tree.iter("table-cell")}
    assert whole and "r499c19" in texts and "r0c0" not in texts
    seen = desktop.act([Type("typed"), Key(("enter",))])
    assert seen.settled


@pytest.mark.slow
def test_a_page_of_thousands_of_elements_is_read_whole_each_time(desktop: Desktop) -> None:
    """So many requests go out over several connections, and their answers come in any order."""
    show_buttons(desktop)
    wanted = set(BUTTONS)
    assert wait.until(lambda: wanted <= named(read(desktop)[0]).keys(), timeout=3 * PATIENCE)
    for _ in range(10):
        tree, whole = read(desktop)
        buttons_now = named(tree)
        assert whole and wanted <= buttons_now.keys()
        shown = {name: part(button, "cp") for name, button in buttons_now.items() if part(button, "st").get("showing")}
        assert shown and all(shown.values())
        assert not any(part(button, "cp") for name, button in buttons_now.items() if name not in shown)


def named(tree: ET.Element) -> dict[str, ET.Element]:
    """The push buttons by their names."""
    return {button.get("name", ""): button for button in tree.iter("push-button")}


@pytest.mark.slow
def test_what_libreoffice_draws_is_where_its_tree_says(desktop: Desktop) -> None:
    """It reports positions without its menu bar, which is more than a row high."""
    desktop.write_file("~/sheet.csv", "\n".join(f"a{row},b{row}" for row in range(30)).encode())
    desktop.launch(SHEET, shell=True)
    assert wait.until(lambda: any("Calc" in window.title for window in desktop.windows()), timeout=3 * PATIENCE)
    desktop.observe()

    def shown(tag: str, name: str) -> ET.Element:
        found = [
            one for one in read(desktop)[0].iter(tag) if one.get("name") == name and "screencoord" in part(one, "cp")
        ]
        assert len(found) == 1
        return found[0]

    def click(tag: str, name: str) -> Click:
        where = part(shown(tag, name), "cp")
        (x, y), (width, height) = (map(int, where[key][1:-1].split(",")) for key in ("screencoord", "size"))
        return Click(x=x + width // 2, y=y + height // 2)

    desktop.act([click("table-cell", "B7"), Type("here"), Key(("enter",))])
    cells = {cell.get("name"): cell.text for cell in read(desktop)[0].iter("table-cell")}
    assert (cells["B6"], cells["B7"], cells["B8"]) == ("b5", "here", "b7")
    desktop.act([click("table-cell", "A3"), click("toggle-button", "Bold")])
    assert wait.until(lambda: part(shown("toggle-button", "Bold"), "st").get("checked") == "true", timeout=PATIENCE)


@pytest.mark.desktop
def test_a_bus_that_was_killed_leaves_no_tree_that_is_empty_and_whole(local_provider: Pool) -> None:
    """It is replaced at once, but the running programs are not on the new one."""
    desktop = local_provider.start(DesktopSpec())
    desktop.launch(["mousepad"])
    assert "mousepad" in [child.get("name") for child in read(desktop)[0]]
    desktop.run("pkill -f at-spi2/accessibility.con[f]", shell=True)
    for _ in range(3):
        seen = desktop.observe(TREE)
        assert (seen.accessibility, seen.accessibility_complete) == (None, False)
        assert "accessibility bus" in seen.problems[0]
        desktop.launch(["galculator"])  # it restarts the bus and joins it
    assert "has ended" in seen.problems[0]
    assert "has ended" in desktop.health().features["accessibility"]
    local_provider.stop(desktop)


@pytest.mark.desktop
def test_a_registry_that_was_killed_is_whole_again_when_programs_have_come_back(local_provider: Pool) -> None:
    desktop = local_provider.start(DesktopSpec())
    desktop.launch(["mousepad"])
    before = count(read(desktop)[0], "mousepad")
    assert before
    desktop.run("pkill -f at-spi2-registry[d]", shell=True)
    found: list[tuple[int, bool]] = []

    def whole() -> bool:
        root, complete = read(desktop)
        found.append((count(root, "mousepad"), complete))
        return complete

    assert wait.until(whole, timeout=PATIENCE)
    assert len(found) > 1 and found[-1] == (before, True)
    local_provider.stop(desktop)
