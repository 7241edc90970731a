"""Times on a screen are found by the tree, and nothing else is taken for one."""

import pytest

from deskbench.agent.replay.clocks import time_boxes

SPACES = (("cp", "component"), ("st", "state"), ("val", "value"))


def spaces(platform: str = "ubuntu") -> str:
    return " ".join(f'xmlns:{name}="https://accessibility.{platform}.example.org/ns/{end}"' for name, end in SPACES)


def tree(name: str, text: str = "", platform: str = "ubuntu", more: str = "") -> str:
    box = f'cp:screencoord="(10, 20)" cp:size="(30, 15)" {more}'
    return f'<desktop-frame {spaces(platform)}><table-cell name="{name}" {box}>{text}</table-cell></desktop-frame>'


@pytest.mark.parametrize(
    "name", ["10:13", "10\u223613", "9:05", "Today at 10:13", "Yesterday", "1 Jan 2024", "2026-11-24", "24 Nov"]
)
def test_times_and_dates(name: str) -> None:
    assert time_boxes(tree(name)) == time_boxes(tree("", name)) == [(10, 20, 40, 35)]


@pytest.mark.parametrize(
    "clock",
    [
        tree("Clock 1:57 PM  4/25/2024", platform="windows"),
        tree("Clock", platform="windows", more='val:value="13:57"'),
        tree("Mon 25 Nov 13:57", platform="macos"),
        tree("Clock", "13:57", platform="macos"),
    ],
)
def test_the_clocks_of_windows_and_macos(clock: str) -> None:
    assert time_boxes(clock) == [(10, 20, 40, 35)]


@pytest.mark.parametrize("name", ["", "Downloads", "3.14", "ratio 16:9", "10", "Save As"])
def test_other_texts(name: str) -> None:
    assert time_boxes(tree(name)) == []


def test_a_long_text_with_a_time_in_it_is_no_clock() -> None:
    assert time_boxes(tree("", "the log says 10:13 " + "and so on " * 10)) == []


@pytest.mark.parametrize(
    "broken", ["", "<a", f"<a {spaces()}><b name='10:13' cp:screencoord='x' cp:size='(1, 2)'/></a>"]
)
def test_a_tree_that_is_broken_has_no_clocks(broken: str) -> None:
    assert time_boxes(broken) == []
