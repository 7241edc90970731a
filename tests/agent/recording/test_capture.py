"""Between a browser and a VNC server: everything goes on, and is seen before it does."""

import socket
import struct
import threading
from pathlib import Path

import pytest

from deskbench.agent.recording.capture import Recorder, Tap
from deskbench.agent.recording.events import Event, Pointer, State, read_events, to_line
from deskbench.agent.recording.rfb import Message
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import GuestUnreachable
from deskbench.envs.providers.fake import FakeProvider


def pointer(buttons: int, x: int, y: int) -> Message:
    return Message(struct.pack(">BBHH", 5, buttons, x, y), 5)


def key(sym: int) -> Message:
    return Message(struct.pack(">BBxxI", 4, 1, sym), 4)


def recorded(folder: Path, *messages: Message) -> list[Event]:
    recorder = Recorder(FakeProvider().start(DesktopSpec()), folder / "events.jsonl", folder)
    for message in messages:
        recorder.heard(message)
    recorder.close()
    recorder.heard(pointer(1, 7, 7))  # too late
    return list(read_events(folder / "events.jsonl"))


def test_a_press_comes_after_a_look_and_a_move_does_not(tmp_path: Path) -> None:
    move, state, press, release = recorded(tmp_path, pointer(0, 5, 5), pointer(1, 5, 5), pointer(0, 5, 5))
    assert isinstance(state, State) and state.tree and (tmp_path / state.picture).read_bytes().startswith(b"\x89PNG")
    assert [one.buttons for one in (move, press, release) if isinstance(one, Pointer)] == [0, 1, 0]
    assert state.t <= press.t


@pytest.mark.parametrize(
    ("messages", "looks"),
    [
        ([pointer(1, 5, 5), pointer(0, 5, 5), pointer(1, 6, 5), pointer(0, 6, 5)], 1),  # a double click
        ([pointer(1, 5, 5), pointer(0, 5, 5), pointer(1, 90, 5), pointer(0, 90, 5)], 2),
        ([key(0x61), key(0x62), key(0x63)], 1),
        ([key(0x61), pointer(1, 5, 5), pointer(0, 5, 5), key(0x62)], 3),
        ([pointer(8, 5, 5), pointer(0, 5, 5), pointer(8, 5, 5), pointer(0, 5, 5)], 1),  # the wheel
    ],
)
def test_what_belongs_together_is_looked_at_once(messages: list[Message], looks: int, tmp_path: Path) -> None:
    assert sum(isinstance(event, State) for event in recorded(tmp_path, *messages)) == looks


@pytest.mark.parametrize("text", ["a\u2028b", "a\x85b", "a\ud800b", 'a"\n\0b'])
def test_no_text_on_the_screen_breaks_the_file_of_events(text: str, tmp_path: Path) -> None:
    event = State(1.0, 10, 10, text)
    (tmp_path / "events.jsonl").write_text(to_line(event), encoding="utf-8")
    assert list(read_events(tmp_path / "events.jsonl")) == [event]


def test_a_desktop_that_is_gone_is_told_and_what_was_heard_is_kept(tmp_path: Path) -> None:
    provider = FakeProvider()
    desktop = provider.start(DesktopSpec())
    recorder = Recorder(desktop, tmp_path / "events.jsonl", tmp_path)
    provider.stop(desktop)
    recorder.heard(pointer(1, 5, 5))
    recorder.close()
    assert isinstance(recorder.failed, GuestUnreachable)
    (event,) = read_events(tmp_path / "events.jsonl")
    assert isinstance(event, Pointer) and (event.buttons, event.x, event.y) == (1, 5, 5)


def test_a_tap_passes_everything_on_and_nothing_that_it_does_not_know() -> None:
    heard: list[Message] = []
    said = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tap = Tap(f"127.0.0.1:{listener.getsockname()[1]}", heard.append)

        def serve() -> None:
            server, _ = listener.accept()
            with server:
                server.sendall(b"RFB 003.008\n")
                while data := server.recv(4096):
                    said.extend(data)

        serving = threading.Thread(target=serve)
        serving.start()
        host, _, port = tap.address.rpartition(":")
        with socket.create_connection((host, int(port)), 10) as client:
            assert client.recv(12) == b"RFB 003.008\n"
            client.sendall(b"RFB 003.008\n\1\1" + pointer(1, 5, 5).data + b"\x63 unknown")
            assert client.recv(1) == b""
        serving.join(10)
        tap.close()
    assert bytes(said) == b"RFB 003.008\n\1\1" + pointer(1, 5, 5).data
    assert [one.pointer for one in heard if one.pointer] == [(1, 5, 5)]
