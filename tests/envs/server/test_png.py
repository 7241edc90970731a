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


def test_the_file_is_a_well_formed_png(encoder: Encoder) -> None:
    png = encoder.encode(np.zeros((5, 6, 4), np.uint8))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    position, kinds = 8, []
    while position < len(png):
        length = int.from_bytes(png[position : position + 4], "big")
        kind, data = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        assert int.from_bytes(png[position + 8 + length : position + 12 + length], "big") == zlib.crc32(kind + data)
        kinds.append(kind)
        position += 12 + length
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]


def test_bytes_are_near_what_pillow_makes_of_a_desktop() -> None:
    made: NDArray[np.uint8] = np.full((600, 800, 4), 240, np.uint8)
    made[40:80] = (110, 60, 30, 0)
    made[100:500:7, 50:700:3] = 0
    buffer = io.BytesIO()
    Image.fromarray(made[:, :, 2::-1]).save(buffer, "PNG", compress_level=1)
    assert len(Encoder().encode(made)) <= 1.25 * len(buffer.getvalue())
