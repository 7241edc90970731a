"""Read the text on a screenshot with RapidOCR, and later only the parts that have changed.

Reading a whole screen takes seconds, because every line is recognised separately (17 to 50 ms per line on two cores).
Little changes between two steps. So the reader keeps hashes of a frame's tiles with the lines it has read, and reads
only the changed regions of the next frame.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from deskbench.agent.ocr.match import Line
from deskbench.envs.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Box = tuple[int, int, int, int]
TILE = 20
"""Side of a tile in pixels: about one line of text."""
PAD = 8
"""Pixels around a changed region: a detector needs some background around a line."""
SMALLEST = 64
"""Shortest side of a region in pixels: RapidOCR treats flatter pictures as one line of text."""
MOSTLY = 0.5
"""If more than this share of the screen has changed, the whole screen is read."""
FRAMES = 32
_LARGEST = 4096
"""Pictures are read at full size up to this side length, because scaling down loses small text."""


@dataclass(frozen=True)
class _Frame:
    tiles: NDArray[np.uint64]
    lines: tuple[Line, ...]


class Reader:
    """Reads pictures and remembers the last results. Threads may share it; it reads one picture at a time."""

    def __init__(self, threads: int = 2) -> None:
        """Load the weights.

        Args:
            threads: number of onnxruntime's threads.

        Raises:
            UsageError: the extra `ocr` is not installed.
        """
        self._engine = _load(threads)
        self._frames: OrderedDict[tuple[int, int, bytes], _Frame] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, picture: Image.Image) -> list[Line]:
        """The lines of a picture from top to bottom, with boxes in pixels of the picture."""
        import numpy as np

        with self._lock:
            pixels = np.asarray(picture.convert("RGB"))
            tiles = _hash_tiles(pixels)
            name = (picture.width, picture.height, tiles.tobytes())
            frame = self._frames.get(name) or _Frame(tiles, self._read_changes(pixels, tiles))
            self._frames[name] = frame
            self._frames.move_to_end(name)
            while len(self._frames) > FRAMES:
                self._frames.popitem(last=False)
            return list(frame.lines)

    def _read_changes(self, pixels: NDArray[np.uint8], tiles: NDArray[np.uint64]) -> tuple[Line, ...]:
        height, width = pixels.shape[:2]
        like = [f for (w, h, _), f in self._frames.items() if (w, h) == (width, height)]
        nearest = min(like, key=lambda frame: int((frame.tiles != tiles).sum()), default=None)
        if nearest is None or (nearest.tiles != tiles).mean() > MOSTLY:
            return _in_order(self._recognise(pixels, (0, 0, width, height)))
        regions = changed_regions(nearest.tiles != tiles, [line.box for line in nearest.lines], (width, height))
        kept = [line for line in nearest.lines if not any(overlap(line.box, region) for region in regions)]
        new = [line for region in regions for line in self._recognise(pixels, region)]
        return _in_order([*kept, *new])

    def _recognise(self, pixels: NDArray[np.uint8], region: Box) -> list[Line]:
        left, top, right, bottom = region
        result = self._engine(pixels[top:bottom, left:right, ::-1])  # it takes BGR, as OpenCV does
        if result.boxes is None or result.txts is None:
            return []
        lines = []
        for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
            (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
            lines.append(Line(text, (left + int(x0), top + int(y0), left + int(x1), top + int(y1)), float(score)))
        return lines


def changed_regions(changed: NDArray[np.bool_], boxes: Iterable[Box], size: tuple[int, int]) -> list[Box]:
    """Rectangles that contain all changed tiles and every whole line of text that they touch; they do not overlap.

    Args:
        changed: whether each tile has changed, by row and column.
        boxes: boxes of the lines that were read before.
        size: size of the picture in pixels.
    """
    boxes = list(boxes)
    tiles = [(int(row), int(column)) for row, column in zip(*changed.nonzero(), strict=True)]
    regions = [_padded((c * TILE, r * TILE, (c + 1) * TILE, (r + 1) * TILE), size) for r, c in tiles]
    regions = [_large_enough(region, size) for region in _merged(regions)]
    while True:
        grown = _merged([_with_lines(region, boxes, size) for region in regions])
        if grown == regions:
            return regions
        regions = grown


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share a pixel."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _merged(regions: list[Box]) -> list[Box]:
    """Boxes that do not overlap and cover at least the same area."""
    done: list[Box] = []
    for region in regions:
        box = region
        while touching := [other for other in done if overlap(box, other)]:
            done = [other for other in done if other not in touching]
            box = _union([box, *touching])
        done.append(box)
    return sorted(done)


def _with_lines(region: Box, boxes: list[Box], size: tuple[int, int]) -> Box:
    touched = [_padded(box, size) for box in boxes if overlap(box, region)]
    return _union([region, *touched])


def _union(boxes: list[Box]) -> Box:
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def _padded(box: Box, size: tuple[int, int], pad: int = PAD) -> Box:
    left, top, right, bottom = box
    return max(0, left - pad), max(0, top - pad), min(size[0], right + pad), min(size[1], bottom + pad)


def _large_enough(box: Box, size: tuple[int, int]) -> Box:
    wide = max(0, SMALLEST - (box[2] - box[0])) // 2
    high = max(0, SMALLEST - (box[3] - box[1])) // 2
    left, top, right, bottom = box
    return max(0, left - wide), max(0, top - high), min(size[0], right + wide), min(size[1], bottom + high)


def _in_order(lines: list[Line]) -> tuple[Line, ...]:
    return tuple(sorted(lines, key=lambda line: (line.box[1] // (TILE // 2), line.box[0])))


def _hash_tiles(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A hash for each tile, which changes if any pixel of the tile changes (a weighted sum in 64 bits)."""
    import numpy as np

    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % TILE), (0, -width % TILE), (0, 0)))
    weights = np.random.default_rng(0).integers(1, 2**63, TILE * TILE * 3, dtype=np.uint64)
    rows, columns = padded.shape[0] // TILE, padded.shape[1] // TILE
    tiles = padded.reshape(rows, TILE, columns, TILE * 3).transpose(0, 2, 1, 3).reshape(rows * columns, -1)
    return (tiles.astype(np.uint64) @ weights).reshape(rows, columns)


def _load(threads: int) -> Any:
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise UsageError(f"reading screenshots needs the extra ocr: pip install 'deskbench[ocr]' ({error})") from None
    return RapidOCR(
        params={
            # Its classifier of upside-down text flips short numbers (98 for 86); a screen has no such text.
            "Global.use_cls": False,
            "Global.log_level": "error",
            "Global.max_side_len": _LARGEST,
            "Det.limit_side_len": _LARGEST,
            "Det.limit_type": "max",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
