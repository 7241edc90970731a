"""What programs keep and say: VLC, GIMP, VS Code, the session's choices; what lies in presentations."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import requests
from typing_extensions import TypedDict

from deskbench.envs.actions import Action, Key, Type
from deskbench.envs.errors import CheckError
from deskbench.tasks.getters.files import vm_file
from deskbench.tasks.metrics.packages import Unreadable, member, opened_zip, parse_xml
from deskbench.tasks.registry import getter
from deskbench.tasks.world import World

VLC_PORT = 8080
"""Of VLC's HTTP interface in OSWorld's machines; its user is empty and its password `password`."""
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
"""Kinds of films whose player OSWorld asks for."""


def first_file(world: World, paths: Sequence[str], dest: str = "") -> Path | None:
    """The first of several files that the desktop has."""
    for path in paths:
        found = vm_file(world, path=path, dest=dest)
        if isinstance(found, Path):
            return found
    return None


@getter("vlc_config")
def vlc_config(world: World, *, dest: str = "vlcrc") -> Path | None:
    """VLC's settings; None when it has written none."""
    return first_file(world, [_PATHS["vlc"].get(world.desktop.health().platform, _PATHS["vlc"]["Linux"])], dest)


@getter("vlc_playing_info")
def vlc_playing_info(world: World, *, dest: str = "status.xml") -> Path | None:
    """What VLC's HTTP interface says that it plays; None when nothing answers there."""
    try:
        address = f"http://{world.desktop.forward(VLC_PORT)}/requests/status.xml"
        answer = requests.get(address, auth=("", VLC_PASSWORD), timeout=30)
    except requests.RequestException:
        return None
    return world.keep_together({dest: answer.content})[0] if answer.status_code == 200 else None


@getter("default_video_player")
def default_video_player(world: World) -> str:
    """The program that most kinds of films open with, as xdg-mime names it; `unknown` without one."""
    queries = "; ".join(f"xdg-mime query default video/{kind}" for kind in VIDEO_TYPES)
    lines = world.desktop.run(queries, shell=True).stdout.split("\n")
    names = Counter(f"{line}\n" for line in lines if line.strip())
    return names.most_common(1)[0][0] if names else "unknown"


@getter("gimp_config_file")
def gimp_config_file(world: World, *, file_name: str, dest: str = "") -> Path | None:
    """One of GIMP's files of settings; None when it has not written it."""
    if world.desktop.health().platform != "Linux":
        raise CheckError("gimp_config_file knows GIMP on Linux only")
    return first_file(world, [f"~/.config/GIMP/{version}/{file_name}" for version in ("2.10", "3.0")], dest)


class Played(TypedDict):
    """One step that is repeated: keys together, text, or one key."""

    type: Literal["hotkey", "typewrite", "press"]
    param: str | list[str]


@getter("replay")
def replay(world: World, *, trajectory: list[Played]) -> None:
    """Press and type; gives nothing."""
    world.desktop.act([_action(step) for step in trajectory])


def _action(step: Mapping[str, Any]) -> Action:
    if step["type"] == "typewrite":
        return Type(str(step["param"]))
    keys = step["param"] if isinstance(step["param"], list) else [step["param"]]
    return Key(tuple(keys))


@getter("vscode_config")
def vscode_config(world: World, *, vscode_extension_command: str, path: str, dest: str = "") -> Path | None:
    """A file that a command of VS Code writes: the command is called by its name, then the file is read."""
    palette = ("meta", "shift", "p") if world.desktop.health().platform == "Darwin" else ("ctrl", "shift", "p")
    world.desktop.act([Key(palette)])
    world.desktop.act([Type(vscode_extension_command)])
    world.desktop.act([Key(("enter",))])
    return first_file(world, [path], dest)


@getter("vm_wallpaper")
def vm_wallpaper(world: World, *, dest: str = "wallpaper.png") -> Path | None:
    """The desktop's background; None when there is none, or none that is a file."""
    data = world.desktop.wallpaper()
    return None if data is None else world.keep_together({dest: data})[0]


@getter("background_image_in_slide")
def background_image_in_slide(world: World, *, ppt_file_path: str, slide_index: int, dest: str = "") -> Path | None:
    """The picture behind a slide (from 0): in the presentation, or a file of the desktop that it names."""
    return _of_slide(world, ppt_file_path, slide_index, dest, "image")


@getter("audio_in_slide")
def audio_in_slide(world: World, *, ppt_file_path: str, slide_index: int, dest: str = "") -> Path | None:
    """The first sound on a slide (from 0): in the presentation, or a file of the desktop that it names."""
    return _of_slide(world, ppt_file_path, slide_index, dest, "audio")


def _of_slide(world: World, path: str, index: int, dest: str, kind: Literal["image", "audio"]) -> Path | None:
    file = vm_file(world, path=path)
    if not isinstance(file, Path):
        return None
    try:
        target, data = _target(file, index, kind)
    except Unreadable:
        return None
    if data is not None:
        return world.keep_together({dest or posixpath.basename(target): data})[0]
    return first_file(world, [target], dest) if target else None


def _target(file: Path, index: int, kind: str) -> tuple[str, bytes | None]:
    """Where a relation of a slide leads, and what is there if it is in the package."""
    with opened_zip(file) as archive:
        relations = member(archive, f"ppt/slides/_rels/slide{index + 1}.xml.rels")
        if relations is None:
            return "", None
        wanted = _background_id(member(archive, f"ppt/slides/slide{index + 1}.xml")) if kind == "image" else None
        for relation in parse_xml(relations, file):
            same = wanted is None if kind == "audio" else relation.get("Id") == wanted
            if same and kind in (relation.get("Type") or "").rpartition("/")[2]:
                return _resolved(archive, relation.get("Target") or "", relation.get("TargetMode") == "External")
    return "", None


def _resolved(archive: Any, target: str, external: bool) -> tuple[str, bytes | None]:
    if external or target.startswith("file:"):
        return unquote(urlsplit(target).path), None
    inner = posixpath.normpath(posixpath.join("ppt/slides", target)).lstrip("/")
    return inner, member(archive, inner)


_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def _background_id(slide: bytes | None) -> str:
    if slide is None:
        return ""
    for background in parse_xml(slide).iter(f"{_P}bgPr"):
        for picture in background.iter(f"{_A}blip"):
            return picture.get(f"{_R}embed") or picture.get(f"{_R}link") or ""
    return ""
