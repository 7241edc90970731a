"""The OCR endpoint over its wire, on rendered pictures, through our own client."""

import base64
import io
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from deskbench.agent.ocr.read import TILE, Reader, changed_regions, overlap
from deskbench.agent.ocr.server import BadRequest, base_url, make_server, read_request
from deskbench.envs.errors import UsageError

FONT = ImageFont.load_default(size=18)
SIZE = (640, 400)


def draw(*texts: tuple[int, int, str]) -> Image.Image:
    picture = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(picture)
    for x, y, text in texts:
        pen.text((x, y), text, fill="black", font=FONT)
    return picture


FORM = ((30, 20, "Settings"), (30, 100, "Name:"), (30, 200, "Remember me"), (400, 340, "Cancel"), (520, 340, "Submit"))


def data_url(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def turn(picture: Image.Image, text: str = "Step 1.") -> dict[str, Any]:
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": data_url(picture)}}]
    return {"role": "user", "content": parts}


def system(task: str, space: str = "pyautogui") -> dict[str, Any]:
    return {"role": "system", "content": f"You act through {space}.\n\n# Task\n{task}"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with make_server("127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield base_url(server)
        server.shutdown()
        thread.join()


@pytest.mark.ocr
def test_it_follows_an_instruction_over_several_turns(url: str) -> None:
    messages = [system('Tick "Remember me" and then press Submit.')]
    said = []
    for step in range(3):
        picture = draw(*FORM, (300, 60 + step, f"Clock {step}"))  # something else changes meanwhile
        messages.append(turn(picture, f"Step {step + 1}."))
        answer = requests.post(f"{url}/chat/completions", json={"model": "x", "messages": messages}, timeout=60).json()
        said.append(answer["choices"][0]["message"]["content"])
        assert answer["choices"][0]["finish_reason"] == "stop"
        assert answer["usage"]["total_tokens"] > 300
        messages.append({"role": "assistant", "content": said[-1]})
    assert "next 2, done 2" in said[1]
    (x, y), (x2, y2) = (_point(reply) for reply in said[:2])
    assert 30 < x < 160
    assert 195 < y < 225
    assert 520 < x2 < 590
    assert 335 < y2 < 365
    assert "```DONE```" in said[2]


def _point(reply: str) -> tuple[int, int]:
    x, y = reply.split("pyautogui.click(")[1].split(")", maxsplit=1)[0].split(", ")[:2]
    return int(x), int(y)


@pytest.mark.ocr
def test_it_lists_its_model(url: str) -> None:
    assert requests.get(f"{url}/models", timeout=10).json()["data"][0]["id"] == "deskbench-ocr"


@pytest.mark.ocr
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"messages": 3}', b'{"messages": [{"role": "user", "content": "no picture"}]}'],
)
def test_what_it_cannot_answer_is_a_400_that_says_why(url: str, body: bytes) -> None:
    answer = requests.post(f"{url}/chat/completions", data=body, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.ocr
def test_other_paths_are_not_found(url: str) -> None:
    assert requests.get(f"{url}/nothing", timeout=10).status_code == 404
    assert requests.post(f"{url}/embeddings", data=b"{}", timeout=10).status_code == 404


@pytest.mark.ocr
def test_an_address_that_is_taken_is_the_users_error(url: str) -> None:
    port = int(url.split(":")[2].split("/", maxsplit=1)[0])
    with pytest.raises(UsageError, match=str(port)):
        make_server("127.0.0.1", port)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


@pytest.mark.ocr
def test_a_changed_screen_reads_as_if_it_were_new(reader: Reader) -> None:
    before = draw(*FORM)
    after = draw(*FORM[:2], (120, 100, "Grace Hopper"), *FORM[3:])
    assert {line.text for line in reader.read(before)} >= {"Settings", "Remember me", "Submit"}
    texts = [line.text for line in reader.read(after)]
    assert "Grace Hopper" in " ".join(texts)
    assert "Remember me" not in texts
    assert "Submit" in texts
    boxes = [line.box for line in reader.read(after)]
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.ocr
def test_a_blank_screen_has_no_lines(reader: Reader) -> None:
    assert reader.read(Image.new("RGB", SIZE, "navy")) == []


# Without the engine


def test_the_task_is_taken_from_where_a_harness_puts_it() -> None:
    picture = turn(draw(), "Click OK")
    assert read_request({"messages": [system("Do it.\nNow."), picture]}).instruction == "Do it.\nNow."
    osworld = {"role": "system", "content": "Use pyautogui.\nYou are asked to complete the following task: Do it."}
    assert read_request({"messages": [osworld, picture]}).instruction == "Do it."
    assert read_request({"messages": [picture]}).instruction == "Click OK"


def test_only_its_own_replies_before_the_newest_picture_count() -> None:
    said = {"role": "assistant", "content": "clicked"}
    malformed = {"role": "assistant", "content": "oops"}
    again = {"role": "user", "content": "That is not an action."}
    request = read_request({"messages": [turn(draw()), said, turn(draw()), malformed, again]})
    assert request.earlier == ("clicked",)


@pytest.mark.parametrize(
    "url",
    ["https://example.com/a.png", "file:///etc/passwd", "data:image/png;base64,!!!!", "data:image/png;base64,AAAA",
     "data:image/svg+xml;base64,AAAA"],
)  # fmt: skip
def test_a_picture_is_a_data_url_and_nothing_is_fetched(url: str) -> None:
    with pytest.raises(BadRequest):
        read_request({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]})


BOXES = st.tuples(st.integers(0, 380), st.integers(0, 280), st.integers(1, 200), st.integers(1, 30)).map(
    lambda b: (b[0], b[1], min(400, b[0] + b[2]), min(300, b[1] + b[3]))
)


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 19)), max_size=8), st.lists(BOXES, max_size=8))
def test_changed_regions_hold_what_changed_and_cut_no_line(
    tiles: list[tuple[int, int]], lines: list[tuple[int, int, int, int]]
) -> None:
    changed: NDArray[np.bool_] = np.zeros((15, 20), dtype=bool)
    for row, column in tiles:
        changed[row, column] = True
    regions = changed_regions(changed, lines, (400, 300))
    for row, column in tiles:
        inside = [r for r in regions if r[0] <= column * TILE < r[2] and r[1] <= row * TILE < r[3]]
        assert len(inside) == 1
    for line in lines:
        for region in (r for r in regions if overlap(line, r)):
            assert region[0] <= line[0] and region[1] <= line[1] and region[2] >= line[2] and region[3] >= line[3]
    assert not any(overlap(a, b) for i, a in enumerate(regions) for b in regions[:i])
