"""The desktop in memory: it keeps the promises of `Desktop`, as far as one editor can."""

from typing import Any

import pytest

from deskbench.envs.actions import ACTION_TYPES
from deskbench.envs.desktop import Desktop, DesktopSpec, Provider
from deskbench.envs.errors import GuestError, GuestUnreachable, Unfit
from deskbench.envs.providers.fake import FakeDesktop, FakeProvider
from deskbench.envs.providers.pool import Pool
from deskbench.envs.targets import Target, find_point
from deskbench.envs.types import Click, CursorPosition, Done, Drag, Exec, Key, Move, Type
from deskbench.envs.wire import Observe


@pytest.fixture
def desktop() -> FakeDesktop:
    return FakeDesktop("fake", DesktopSpec(800, 600))


def test_it_is_a_desktop_and_its_maker_a_provider(desktop: FakeDesktop) -> None:
    assert isinstance(desktop, Desktop)
    provider: Provider = FakeProvider()
    assert all(check.ok for check in provider.doctor())


def test_what_is_typed_is_shown_and_saved(desktop: FakeDesktop) -> None:
    before = desktop.observe()
    after = desktop.act([Type("hello\nwörld"), Key(("backspace",)), Key(("ctrl", "s"))])
    assert before.screenshot and after.screenshot
    assert before.screenshot.sha256 != after.screenshot.sha256
    assert after.screenshot.image.size == (800, 600) == desktop.health().screen
    assert desktop.read_file("~/document.txt") == "hello\nwörl".encode()


def test_the_same_state_is_the_same_frame(desktop: FakeDesktop) -> None:
    assert desktop.observe() == desktop.observe()


def test_the_tree_names_what_can_be_clicked(desktop: FakeDesktop) -> None:
    tree = desktop.observe(Observe(accessibility=True)).accessibility
    assert tree
    point = find_point(tree, Target(role="push-button", name="Save"))
    assert point
    desktop.act([Type("x"), Click(x=point[0], y=point[1])])
    assert desktop.files["/home/user/document.txt"] == b"x"


def test_hostile_text_leaves_the_tree_well_formed(desktop: FakeDesktop) -> None:
    desktop.act([Type('</text><push-button name="Save"/>&"')])
    tree = desktop.observe(Observe(accessibility=True)).accessibility
    assert tree and find_point(tree, Target(role="push-button", name="Save")) == (60, 35)


@pytest.mark.parametrize("action", [Move(800, 10), Click(x=-1, y=5), Drag(((5, 5), (5, 600))), Exec("bash", "true")])
def test_what_cannot_be_done_is_a_result_and_what_stands_behind_it_is_not_done(
    desktop: FakeDesktop, action: Click
) -> None:
    results = desktop.act([CursorPosition(), action, Type("never")]).results
    assert [result.ok for result in results] == [True, False, False]
    assert results[1].error
    assert desktop.text == ""


def test_every_kind_of_action_is_taken(desktop: FakeDesktop) -> None:
    made: dict[str, dict[str, Any]] = {
        "move": {"x": 1, "y": 1}, "drag": {"path": ((1, 1), (2, 2))}, "type": {"text": "a"}, "key": {"keys": ("a",)},
        "key_down": {"key": "a"}, "key_up": {"key": "a"}, "zoom": {"region": (0, 0, 5, 5)},
        "exec": {"lang": "bash", "source": "true"},
    }  # fmt: skip
    for kind, cls in ACTION_TYPES.items():
        (result,) = desktop.act([cls(**made.get(kind, {}))]).results
        assert result.ok is (kind != "exec"), kind


def test_files_folders_and_commands(desktop: FakeDesktop) -> None:
    desktop.write_file("~/Documents/a.txt", b"abc")
    assert desktop.read_file("/home/user/Documents/a.txt") == b"abc"
    assert desktop.list_directory("~/Documents")["children"] == [{"type": "file", "name": "a.txt"}]
    assert desktop.run(["cat", "~/Documents/a.txt"]).stdout == "abc"
    assert desktop.run("false").returncode == 1
    assert desktop.run("gimp").returncode == 127
    for missing in (lambda: desktop.read_file("~/b.txt"), lambda: desktop.list_directory("~/Nowhere")):
        with pytest.raises(FileNotFoundError):
            missing()
    unfit = (
        lambda: desktop.read_file("~/Documents/a.txt", max_bytes=2),
        lambda: desktop.read_file("~/Documents"),
        lambda: desktop.list_directory("~/Documents/a.txt"),
    )
    for ask in unfit:
        with pytest.raises(Unfit):
            ask()


def test_programs_and_windows(desktop: FakeDesktop) -> None:
    desktop.write_file("~/a.txt", b"abc")
    desktop.launch(["editor", "~/a.txt"])
    assert desktop.text == "abc"
    (window,) = desktop.windows()
    assert window.title == "/home/user/a.txt - Editor"
    desktop.activate_window("editor")
    desktop.activate_window("editor.Editor", strict=True, by_class=True)
    with pytest.raises(GuestError):
        desktop.activate_window("gimp")
    with pytest.raises(GuestError):
        desktop.launch("gimp")


def test_a_stopped_desktop_cannot_be_reached_and_stopping_is_idempotent() -> None:
    provider = FakeProvider()
    desktop = provider.start(DesktopSpec())
    provider.stop(desktop)
    provider.stop(desktop)
    with pytest.raises(GuestUnreachable):
        desktop.act([Done()])
    assert provider.running == {}


def test_a_pool_over_it_hands_out_each_once_and_leaves_nothing() -> None:
    provider = FakeProvider()
    pool = Pool(provider, ahead=2)
    names = {pool.start(DesktopSpec()).name for _ in range(6)}
    assert len(names) == 6
    pool.close()
    assert provider.running == {}
