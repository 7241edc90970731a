"""Films and sounds in containers (MP4, Matroska, AVI, MP3, FLAC, Ogg); tracks are copied, not coded anew.

The package `av` (FFmpeg) reads and writes them. It is told the form of the container: a playlist, which could name any
file, is none of these.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator

MOST_PACKETS = 200_000
"""Packets of a film that is looked at; about an hour of picture and sound."""
_FORMS = {"mp4": (4, b"ftyp"), "matroska": (0, b"\x1aE\xdf\xa3"), "avi": (8, b"AVI "), "flac": (0, b"fLaC"),
          "ogg": (0, b"OggS"), "mp3": (0, b"ID3")}  # fmt: skip
"""FFmpeg's names of containers, and what stands where in a file."""
_MP3_FRAME = (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
_OTHER = {"mp4": "matroska", "matroska": "mp4", "avi": "matroska", "flac": "ogg", "ogg": "matroska", "mp3": "matroska"}
_TYPES = ("video", "audio", "subtitle")
"""Tracks that are copied."""
_TAGS = ("title", "artist", "album")
_SAME = {"fflags": "+bitexact"}
"""The same tracks give the same bytes each time: no random numbers, no times."""


@dataclass(frozen=True)
class Film:
    """A file's bytes, and the container's name."""

    data: bytes
    form: str


Change = Iterator[tuple[Film, str]]


def form_of(data: bytes) -> str:
    """FFmpeg's name of a container; empty for what is none that is known."""
    found = next((form for form, (at, mark) in _FORMS.items() if data[at : at + len(mark)] == mark), "")
    return found or ("mp3" if data.startswith(_MP3_FRAME) else "")


def _read(raw: Raw) -> Film:
    film = Film(bytes(raw), form_of(raw))
    if not film.form:
        raise Unlike("its container is not known")
    try:
        there = bool(_tracks(film))
    except ImportError:
        raise Unlike("the package av is not installed: pip install 'deskbench[evaluators]'") from None
    except _broken() as error:
        raise Unlike(f"not a film: {error}") from None
    if not there:
        raise Unlike("it has no tracks")
    return film


def _broken() -> tuple[type[Exception], ...]:
    """What FFmpeg raises for a file that it cannot read, or tracks that it cannot write."""
    import av

    return av.error.FFmpegError, ValueError, OSError, EOFError


def _opened(film: Film, stack: ExitStack) -> Any:
    import av

    form = "mov" if film.form == "mp4" else film.form
    return stack.enter_context(av.open(io.BytesIO(film.data), format=form))


def _packets(source: Any) -> Iterator[Any]:
    for number, packet in enumerate(source.demux()):
        if number > MOST_PACKETS:
            raise Unlike(f"it has more than {MOST_PACKETS} packets")
        if packet.dts is not None:
            yield packet


def _tracks(film: Film) -> list[dict[str, Any]]:
    """What each track is, and a hash of what is in it."""
    with ExitStack() as stack:
        source = _opened(film, stack)
        hashes = {stream.index: hashlib.sha256() for stream in source.streams}
        seconds = dict.fromkeys(hashes, 0.0)
        for packet in _packets(source):
            hashes[packet.stream.index].update(bytes(packet))
            seconds[packet.stream.index] = max(seconds[packet.stream.index], _time(packet))
        return [
            {"track": one.type, "codec": one.codec_context.name if one.codec_context else "",
             "until": round(seconds[one.index], 2), "data": hashes[one.index].hexdigest()}
            for one in source.streams
        ]  # fmt: skip


def _time(packet: Any) -> float:
    """When a packet begins, in seconds."""
    return float((packet.pts if packet.pts is not None else packet.dts) * packet.time_base)


def _tags(film: Film) -> dict[str, str]:
    with ExitStack() as stack:
        found = dict(_opened(film, stack).metadata)
    return {name.lower(): str(value) for name, value in found.items() if name.lower() in _TAGS}


def _key(film: Film) -> dict[str, Any]:
    return {"container": film.form, "tags": _tags(film), "tracks": _tracks(film)}


kind("film", "Films and sounds (MP4, MKV, AVI, MP3, FLAC, OGG)", read=_read, write=lambda model, raw: model.data,
     key=_key)  # fmt: skip


def _packed(
    film: Film, *, without: str = "", until: float | None = None, form: str = "",
    tags: dict[str, str] | None = None,
) -> Film:  # fmt: skip
    """A copy without its tracks of one type, until some second, in a container, with more tags.

    Raises:
        Unlike: the container cannot hold these tracks.
    """
    out, form = io.BytesIO(), form or film.form
    try:
        with ExitStack() as stack:
            _copy(film, stack, out, form, without, until, tags or {})
    except _broken() as error:
        raise Unlike(f"{form} cannot hold its tracks: {error}") from None
    return replace(film, data=out.getvalue(), form=form)


def _copy(
    film: Film, stack: ExitStack, out: io.BytesIO, form: str, without: str, until: float | None,
    tags: dict[str, str],
) -> None:  # fmt: skip
    import av

    source = _opened(film, stack)
    target = stack.enter_context(av.open(out, "w", format=form, container_options=_SAME))
    target.metadata.update({**source.metadata, **tags})
    kept = [stream for stream in source.streams if stream.type in _TYPES and stream.type != without]
    streams = {stream.index: target.add_stream_from_template(stream) for stream in kept}
    for packet in list(_packets(source)):
        if packet.stream.index in streams and (until is None or _time(packet) < until):
            packet.stream = streams[packet.stream.index]
            target.mux(packet)


@operator("film/cut", kind="film", must="fail")
def cut(film: Film, about: About) -> Change:
    """The last second is missing, or the second half of a shorter file."""
    length = max(track["until"] for track in _tracks(film))
    yield _packed(film, until=max(length - 1, length / 2)), "its end is cut off"


@operator("film/track-gone", kind="film", must="fail")
def track_gone(film: Film, about: About) -> Change:
    """The video, audio or subtitle tracks are missing."""
    types = dict.fromkeys(track["track"] for track in _tracks(film))
    for gone in types if len(types) > 1 else ():
        yield _packed(film, without=gone), f"it has no {gone}"


@operator("film/other-form", kind="film", must="fail")
def other_form(film: Film, about: About) -> Change:
    """The same tracks are in a different container format under the same name."""
    yield _packed(film, form=_OTHER[film.form]), f"it is {_OTHER[film.form]}, not {film.form}"


@operator("film/tag", kind="film", must="fail")
def tag(film: Film, about: About) -> Change:
    """The title, artist or album is different."""
    for name, value in _tags(film).items():
        yield _packed(film, tags={name: f"{value} 2"}), f"its {name} is {f'{value} 2'!r}"


@operator("film/packed", kind="film", must="stay")
def packed(film: Film, about: About) -> Change:
    """The same tracks are packed by a different program."""
    yield _packed(film, tags={"comment": "by another program"}), "the same tracks are packed again, with a comment"
