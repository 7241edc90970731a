"""Lossless PNG: decoding returns what was encoded, by either compressor."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from deskbench.envs.server.png import Encoder


def decoded(png: bytes) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = np.asarray(Image.open(io.BytesIO(png), formats=["PNG"]))
    return pixels


@pytest.fixture(params=["isal", "zlib"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    made = Encoder()
    if request.param == "zlib":
        made._isal = None
    else:
        assert made.compressor == "isal", "libisal2 is one of the packages that are installed"
    return made


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (33, 17), (200, 301)])
@pytest.mark.parametrize("content", ["noise", "flat", "gradient"])
def test_pixels_come_back(encoder: Encoder, shape: tuple[int, int], content: str) -> None:
    height, width = shape
    random = np.random.default_rng(1)
    made = {
        "noise": random.integers(0, 256, (height, width, 4), np.uint8),
        "flat": np.full((height, width, 4), 77, np.uint8),
        "gradient": np.indices((height, width)).sum(0)[..., None].repeat(4, 2).astype(np.uint8),
    }[content]
    for _ in range(2):  # the filter of the second frame depends on the first one
        assert (decoded(encoder.encode(made)) == made[:, :, 2::-1]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_picture_comes_back(height: int, width: int, seed: int) -> None:
    made = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    assert (decoded(SHARED.encode(made)) == made[:, :, 2::-1]).all()


SHARED = Encoder()  # its buffers must not leak from one size into the next


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 299), st.integers(0, 49), st.integers(1, 120), st.booleans()), max_size=6))
def test_frames_that_change_in_places_come_back(changes: list[tuple[int, int, int, bool]]) -> None:
    encoder, random = Encoder(), np.random.default_rng(1)
    frame: NDArray[np.uint8] = np.full((300, 50, 4), 77, np.uint8)
    assert (decoded(encoder.encode(frame)) == frame[:, :, 2::-1]).all()
    for top, left, height, noise in changes:
        frame = frame.copy()
        part = frame[top : top + height, left:]
        part[:] = random.integers(0, 256, part.shape, np.uint8) if noise else 3
        assert (decoded(encoder.encode(frame)) == frame[:, :, 2::-1]).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 299), st.integers(1, 120), st.booleans()), max_size=3), max_size=4))
def test_a_frame_updated_in_places_comes_back(updates: list[list[tuple[int, int, bool]]]) -> None:
    encoder, random = Encoder(), np.random.default_rng(1)
    frame: NDArray[np.uint8] = np.full((300, 50, 4), 77, np.uint8)
    encoder.encode(frame.copy())
    for places in updates:
        for top, height, noise in places:
            part = frame[top : top + height]
            part[-1 if noise else 0] = random.integers(0, 256, part[0].shape, np.uint8)
        pieces = [(top, frame[top : top + height].copy()) for top, height, _ in places]
        assert (decoded(encoder.update(pieces)) == frame[:, :, 2::-1]).all()
    assert encoder.encode(frame) == encoder.update([])


def test_only_a_frame_that_was_encoded_is_updated(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="no frame to update"):
        encoder.update([])


def test_a_screen_that_gets_smaller_and_larger_comes_back(encoder: Encoder) -> None:
    random = np.random.default_rng(1)
    for shape in ((300, 50), (128, 50), (128, 51), (300, 50)):
        frame = random.integers(0, 256, (*shape, 4), np.uint8)
        assert (decoded(encoder.encode(frame)) == frame[:, :, 2::-1]).all()


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    position, found = 8, []
    while position < len(png):
        length = int.from_bytes(png[position : position + 4], "big")
        kind, data = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        assert int.from_bytes(png[position + 8 + length : position + 12 + length], "big") == zlib.crc32(kind + data)
        found.append((kind, data))
        position += 12 + length
    return found


def test_the_file_is_a_well_formed_png(encoder: Encoder) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (200, 6, 4), np.uint8)
    kinds, parts = zip(*chunks(encoder.encode(frame)), strict=True)
    assert set(kinds[1:-1]) == {b"IDAT"}
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")
    assert len(zlib.decompress(b"".join(parts[1:-1]))) == 200 * (1 + 6 * 3)  # checks the stream's own checksum, too


def test_only_what_has_changed_is_encoded_again(encoder: Encoder) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (320, 40, 4), np.uint8)
    encoder.encode(frame)
    before = chunks(encoder.encode(frame))
    changed = frame.copy()
    changed[130] = 0
    after = chunks(encoder.encode(changed))
    assert [one != other for one, other in zip(before, after, strict=True)] == [
        False, False, False, True, False, False, True, False,
    ]  # the third band of 64 rows, and the checksum of the whole  # fmt: skip


def test_bytes_are_near_what_pillow_makes_of_a_desktop() -> None:
    made: NDArray[np.uint8] = np.full((600, 800, 4), 240, np.uint8)
    made[40:80] = (110, 60, 30, 0)
    made[100:500:7, 50:700:3] = 0
    buffer = io.BytesIO()
    Image.fromarray(made[:, :, 2::-1]).save(buffer, "PNG", compress_level=1)
    assert len(Encoder().encode(made)) <= 1.25 * len(buffer.getvalue())
