"""Values from programs: VLC, GIMP, VS Code, the session's defaults, and media inside presentations."""

from __future__ import annotations

import contextlib
import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from typing_extensions import TypedDict

from deskbench.envs.actions import Action, Key, Type
from deskbench.envs.errors import CheckError, NotThere
from deskbench.tasks.getters.files import vm_file
from deskbench.tasks.guest import ask
from deskbench.tasks.registry import getter
from deskbench.tasks.scoring.sandbox import Limits
from deskbench.tasks.scoring.worker import read
from deskbench.tasks.world import MAX_TEXT, World

VLC_PORT = 8080
"""The port of VLC's HTTP interface in OSWorld's machines; the user is empty and the password is `password`."""
VLC_PASSWORD = "password"
_PATHS = {
    "vlc": {
        "Linux": "~/.config/vlc/vlcrc",
        "Darwin": "~/Library/Preferences/org.videolan.vlc/vlcrc",
        "Windows": "$APPDATA\\vlc\\vlcrc",
    },
}
VIDEO_TYPES = tuple(
    "3gp 3gpp 3gpp2 avi divx dv fli flv mp2t mp4 mp4v-es mpeg mpeg-system msvideo ogg quicktime vnd.divx vnd.mpegurl "
    "vnd.rn-realvideo webm x-anim x-avi x-flc x-fli x-flv x-m4v x-matroska x-mpeg x-mpeg-system x-mpeg2 x-ms-asf "
    "x-ms-asf-plugin x-ms-asx x-ms-wm x-ms-wmv x-ms-wmx x-ms-wvx x-msvideo x-nsv x-ogm x-ogm+ogg x-theora "
    "x-theora+ogg".split()
)
"""Video types whose default player OSWorld looks up."""


def first_file(world: World, paths: Sequence[str], dest: str = "") -> Path | None:
    """The first of several files that exists in the desktop."""
    for path in paths:
        found = vm_file(world, path=path, dest=dest)
        if isinstance(found, Path):
            return found
    return None


@getter("vlc_config", source="file")
def vlc_config(world: World, *, dest: str = "vlcrc") -> Path | None:
    """VLC's settings file; None if VLC has not written one."""
    return first_file(world, [_PATHS["vlc"].get(world.desktop.health().platform, _PATHS["vlc"]["Linux"])], dest)


@getter("vlc_playing_info")
def vlc_playing_info(world: World, *, dest: str = "status.xml") -> Path | None:
    """What VLC plays, according to its HTTP interface; None if nothing answers there."""
    address = f"http://{world.desktop.forward(VLC_PORT)}/requests/status.xml"
    with world.room() as file:
        asked = {"url": address, "user": "", "password": VLC_PASSWORD, "into": file, "most": MAX_TEXT}
        if not read("fetched", Limits(seconds=15.0, network=True), **asked):
            return None
        return world.keep_together({dest: file.read_bytes()})[0]


@getter("default_video_player", programs=("xdg-mime",))
def default_video_player(world: World) -> str:
    """The program that opens most types of video, as xdg-mime names it; `unknown` if there is none."""
    queries = "; ".join(f"xdg-mime query default video/{kind}" for kind in VIDEO_TYPES)
    lines = ask(world.desktop, ["/bin/sh", "-c", queries], timeout=120.0).stdout[:MAX_TEXT].split("\n")
    names = Counter(f"{line}\n" for line in lines if line.strip())
    return names.most_common(1)[0][0] if names else "unknown"


@getter("gimp_config_file", source="file")
def gimp_config_file(world: World, *, file_name: str, dest: str = "") -> Path | None:
    """One of GIMP's settings files; None if GIMP has not written it."""
    if world.desktop.health().platform != "Linux":
        raise CheckError("gimp_config_file supports GIMP on Linux only")
    return first_file(world, [f"~/.config/GIMP/{version}/{file_name}" for version in ("2.10", "3.0")], dest)


class Played(TypedDict):
    """One input to replay: a key combination, text, or one key."""

    type: Literal["hotkey", "typewrite", "press"]
    param: str | list[str]


@getter("replay")
def replay(world: World, *, trajectory: list[Played]) -> None:
    """Press keys and type text; returns nothing."""
    world.desktop.act([_action(step) for step in trajectory])


def _action(step: Mapping[str, Any]) -> Action:
    if step["type"] == "typewrite":
        return Type(str(step["param"]))
    keys = step["param"] if isinstance(step["param"], list) else [step["param"]]
    return Key(tuple(keys))


@getter("vscode_config", source="file")
def vscode_config(world: World, *, vscode_extension_command: str, path: str, dest: str = "") -> Path | None:
    """A file that a VS Code command writes: the getter runs the command by its name, then reads the file."""
    palette = ("meta", "shift", "p") if world.desktop.health().platform == "Darwin" else ("ctrl", "shift", "p")
    with contextlib.suppress(NotThere):  # without a window, VS Code writes no file
        world.desktop.activate_window("Visual Studio Code")
    world.desktop.act([Key(palette)])
    world.desktop.act([Type(vscode_extension_command)])
    world.desktop.act([Key(("enter",))])
    return first_file(world, [path], dest)


@getter("vm_wallpaper")
def vm_wallpaper(world: World, *, dest: str = "wallpaper.png") -> Path | None:
    """The desktop's background picture; None if there is no picture, or if it is not a file."""
    data = world.desktop.wallpaper()
    return None if data is None else world.keep_together({dest: data})[0]


@getter("background_image_in_slide", source="file")
def background_image_in_slide(world: World, *, ppt_file_path: str, slide_index: int, dest: str = "") -> Path | None:
    """The background picture of a slide (from 0): in the presentation, or a file of the desktop that it links to."""
    return _of_slide(world, ppt_file_path, slide_index, dest, "image")


@getter("audio_in_slide", source="file")
def audio_in_slide(world: World, *, ppt_file_path: str, slide_index: int, dest: str = "") -> Path | None:
    """The first sound on a slide (from 0): in the presentation, or a file of the desktop that it links to."""
    return _of_slide(world, ppt_file_path, slide_index, dest, "audio")


def _of_slide(world: World, path: str, index: int, dest: str, kind: Literal["image", "audio"]) -> Path | None:
    file = vm_file(world, path=path)
    if not isinstance(file, Path):
        return None
    with world.room() as into:
        target, written = read("of_slide", file=file, index=index, kind=kind, into=into) or ("", False)
        if written:
            return world.keep_together({dest or posixpath.basename(target): into.read_bytes()})[0]
    return first_file(world, [target], dest) if target else None
