"""Similarity of sounds and videos, and MP3 tags."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deskbench.tasks.metrics.media.pictures import hash_distance
from deskbench.tasks.metrics.support.fidelity import as_upstream
from deskbench.tasks.metrics.support.matching import Match, matches
from deskbench.tasks.metrics.support.packages import Unreadable, needs
from deskbench.tasks.registry import metric

MAX_SECONDS = 1800.0
"""The most seconds of sound to decode."""
_PROBED = 2 * 2**20
"""Bytes at the start of a file that FFmpeg probes for its type (PROBE_BUF_MAX, and what it skips)."""
_PLAYLISTS = (b"#EXTM3U", b"ffconcat version", b"<MPD")
"""First bytes of playlists (FFmpeg's demuxers hls, concat, dash), which could name any file on this machine."""


def _is_playlist(path: Path) -> bool:
    with path.open("rb") as file:
        beginning = file.read(_PROBED)
    return any(mark in beginning for mark in _PLAYLISTS)


@metric("compare_audios")
def compare_audios(result: Path, expected: Path) -> float:
    """The similarity of two recordings, 0 to 1: exp(-mean cosine distance of their MFCC in the best alignment)."""
    wanted, found = _sound(expected), _sound(result)
    if wanted is None:
        if as_upstream("audio-broken") and found is None:
            return 1.0
        raise Unreadable(f"{expected.name} is not a sound that can be decoded", expected)
    if found is None:
        return 0.0
    try:
        from fastdtw import fastdtw
        from scipy.spatial.distance import cosine
    except ImportError as error:
        raise needs("audio", error) from None
    distance, path = fastdtw(_features(found), _features(wanted), dist=cosine)
    return min(1.0, math.exp(-distance / len(path)))


def _sound(path: Path) -> Any:
    """Mono samples at 22,050 Hz; None if nothing can be decoded."""
    try:
        import librosa
        import soundfile
        from audioread.exceptions import DecodeError
    except ImportError as error:
        raise needs("audio", error) from None
    if _is_playlist(path):
        return None
    try:
        samples, _ = librosa.load(path, duration=MAX_SECONDS)
    except (soundfile.SoundFileError, DecodeError, OSError, EOFError, ValueError):
        return None
    return samples if len(samples) else None


def _features(samples: Any) -> Any:
    """MFCC over time, with each coefficient scaled to its maximum."""
    import librosa

    return librosa.util.normalize(librosa.feature.mfcc(y=samples, sr=22_050), axis=1).T


@metric("compare_videos")
def compare_videos(result: Path, expected: Path, *, max_frames_to_check: int = 100, threshold: int = 5) -> float:
    """1 when two videos look alike: at most `threshold` frames differ by more than `threshold` bits.

    It compares only the first frames; videos that end within them must have the same length.
    """
    frames, golds = _frames(result, max_frames_to_check), _frames(expected, max_frames_to_check)
    different, seen = 0, 0
    for frame in frames:
        gold = next(golds, None)
        seen += 1
        if gold is None:
            return 0.0
        different += hash_distance(frame, gold) > threshold
        if different > threshold:
            return 0.0
    if seen == 0 and not as_upstream("film-broken"):
        return 0.0
    return float(seen == max_frames_to_check or next(golds, None) is None)


def _frames(path: Path, limit: int) -> Iterator[Any]:
    """The first frames of a video; nothing if it cannot be decoded."""
    try:
        import av
    except ImportError as error:
        raise needs("evaluators", error) from None
    if _is_playlist(path):
        return
    try:
        with av.open(str(path)) as film:
            if not film.streams.video:
                return
            for index, frame in enumerate(film.decode(video=0)):
                if index == limit:
                    return
                yield frame.to_image()
    except (av.error.FFmpegError, ValueError, EOFError):
        return


@metric("check_mp3_meta")
def check_mp3_meta(result: Path, rules: dict[str, Match]) -> float:
    """1 when each ID3 tag (title, artist, ...) matches its rule; a missing tag counts as empty."""
    try:
        from mutagen import MutagenError
        from mutagen.easyid3 import EasyID3
    except ImportError as error:
        raise needs("evaluators", error) from None
    try:
        tags = EasyID3(result)
    except MutagenError:
        return 0.0
    return float(all(matches(",".join(tags.get(key, [])), rule) for key, rule in rules.items()))
