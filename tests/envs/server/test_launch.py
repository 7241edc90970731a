"""Launching: the answer comes with the window there, or says in one line why there is none."""

from __future__ import annotations

import pytest

from deskbench.envs.errors import GuestError
from deskbench.envs.providers.local import LocalDesktop

pytestmark = pytest.mark.desktop


def classes(desktop: LocalDesktop) -> str:
    return " ".join(str(window) for window in desktop.windows()).lower()


@pytest.mark.parametrize("program", ["mousepad", "galculator", "xterm"])
def test_a_launched_programs_window_is_there_with_the_answer(desktop: LocalDesktop, program: str) -> None:
    desktop.launch([program])
    assert program in classes(desktop)


def test_an_opened_file_is_shown_by_its_program(desktop: LocalDesktop) -> None:
    desktop.write_file("/home/user/shopping.txt", b"milk\n")
    desktop.open("/home/user/shopping.txt")
    assert "shopping.txt" in classes(desktop)


def test_a_program_without_a_window_is_launched_when_it_is_done(desktop: LocalDesktop) -> None:
    desktop.launch("echo done > /tmp/said", shell=True)
    assert desktop.read_file("/tmp/said") == b"done\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["no-such-program"], "no-such-program"),
        (["sh", "-c", "echo first >&2; echo the last line >&2; exit 3"], "status 3: the last line"),
        (["false"], "false ended with status 1"),
    ],
)
def test_a_program_that_fails_at_once_is_an_error_with_its_last_words(
    desktop: LocalDesktop, command: list[str], said: str
) -> None:
    with pytest.raises(GuestError) as caught:
        desktop.launch(command)
    assert said in str(caught.value)


def test_opening_what_does_not_exist_says_so(desktop: LocalDesktop) -> None:
    with pytest.raises(GuestError) as caught:
        desktop.open("/home/user/nowhere.txt")
    assert "nowhere.txt" in str(caught.value)
