"""Launching: the answer comes once the window is there, or says in one line why there is none."""

from __future__ import annotations

import pytest

from deskbench.envs.errors import GuestError
from deskbench.envs.providers.local import LocalDesktop
from deskbench.envs.types import Type
from tests.other_user import OtherUser

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


def test_a_file_is_opened_while_its_program_is_ending(desktop: LocalDesktop) -> None:
    """A program that ends loses the files handed to it; neither closing nor opening may depend on luck."""
    for name in ("one", "two", "three"):
        desktop.write_file(f"/home/user/{name}.txt", b"")
        desktop.open(f"/home/user/{name}.txt")
        assert f"{name}.txt" in classes(desktop)
        desktop.close_window("Mousepad")
    assert "mousepad" not in desktop.run("ps -e -o comm", shell=True).stdout


def test_a_window_that_asks_back_is_not_waited_for(desktop: LocalDesktop) -> None:
    desktop.write_file("/home/user/asks.txt", b"")
    desktop.open("/home/user/asks.txt")
    desktop.act([Type(text="unsaved")])
    desktop.close_window("asks.txt")
    assert "save" in classes(desktop)


def test_a_file_that_no_window_shows_is_an_error(desktop: LocalDesktop) -> None:
    applications = "/home/user/.local/share/applications"
    desktop.write_file(
        f"{applications}/nothing.desktop",
        b"[Desktop Entry]\nType=Application\nName=Nothing\nExec=true %f\nMimeType=text/csv;\n",
    )
    desktop.write_file("/home/user/.config/mimeapps.list", b"[Default Applications]\ntext/csv=nothing.desktop\n")
    desktop.write_file("/home/user/table.csv", b"a,b\n")
    with pytest.raises(GuestError) as caught:
        desktop.open("/home/user/table.csv")
    assert "no window shows it" in str(caught.value)


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


def test_a_machine_without_room_for_another_process_has_not_refused_the_program(other_user: OtherUser) -> None:
    """Only what can never be started counts as a fault of the task."""
    said = other_user.python("""
        import resource
        from deskbench.envs.server.http.server import HttpError
        from deskbench.envs.server.launch import start

        class Still:
            def begin_settling(self, *, launching): pass

        def status(program):
            try:
                start(Still(), [program])
            except HttpError as error:
                return error.status

        print(status("no-such-program"))
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        print(status("true"))
    """)
    assert said.stdout.split() == ["400", "503"], said
