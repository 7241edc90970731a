"""WAV files. The model is the sound's format and its samples."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass, replace

from deskbench.tasks.mutation.operators import About, Raw, Unlike, kind, operator


@dataclass(frozen=True)
class Sound:
    """Channels, bytes per sample, samples per second, and the interleaved samples of all channels."""

    channels: int
    width: int
    rate: int
    data: bytes

    @property
    def frame(self) -> int:
        """Bytes per sample of all channels together."""
        return self.channels * self.width


Change = Iterator[tuple[Sound, str]]


def _read(raw: Raw) -> Sound:
    try:
        with wave.open(io.BytesIO(raw)) as file:
            return Sound(
                file.getnchannels(), file.getsampwidth(), file.getframerate(), file.readframes(file.getnframes())
            )
    except (wave.Error, EOFError) as error:
        raise Unlike(f"not WAV: {error}") from None


def _write(model: Sound, raw: Raw) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(model.channels)
        file.setsampwidth(model.width)
        file.setframerate(model.rate)
        file.writeframes(model.data)
    return out.getvalue()


def _key(model: Sound) -> dict[str, object]:
    return {"channels": model.channels, "rate": model.rate, "seconds": len(model.data) / model.frame / model.rate,
            "data": hashlib.sha256(model.data).hexdigest()}  # fmt: skip


kind("wav", "WAV sounds", read=_read, write=_write, key=_key)


@operator("wav/cut", kind="wav", must="fail")
def cut(sound: Sound, about: About) -> Change:
    """The last second is missing, or the second half of a shorter sound."""
    size = min(sound.rate * sound.frame, len(sound.data) // sound.frame // 2 * sound.frame)
    yield replace(sound, data=sound.data[: len(sound.data) - size]), "its end is cut off"


@operator("wav/reversed", kind="wav", must="fail")
def backwards(sound: Sound, about: About) -> Change:
    """The sound is played backwards."""
    frames = [sound.data[n : n + sound.frame] for n in range(0, len(sound.data), sound.frame)]
    yield replace(sound, data=b"".join(reversed(frames))), "it is played backwards"


@operator("wav/silent", kind="wav", must="fail")
def silent(sound: Sound, about: About) -> Change:
    """The sound is silent."""
    yield replace(sound, data=bytes(len(sound.data))), "nothing is heard"


@operator("wav/rate", kind="wav", must="fail")
def rate(sound: Sound, about: About) -> Change:
    """The sound is played at twice the speed."""
    yield replace(sound, rate=sound.rate * 2), "it is played at twice the speed"
