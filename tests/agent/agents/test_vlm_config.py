"""A vision-language agent's settings, and the one place where points change scale."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.agent.agents.vlm_config import VlmConfig
from deskbench.agent.models.prices import Price
from deskbench.agent.prompting.scaling import Scale
from deskbench.envs.errors import ReplyError, UsageError
from deskbench.envs.types import Click, Drag, Key, Scroll, Zoom

LEAST = {"base_url": "http://127.0.0.1:8000/v1", "model": "kimi-vl"}


def test_address_and_model_are_enough() -> None:
    config = VlmConfig.from_settings(LEAST)
    assert (config.chat.base_url, config.chat.model) == (LEAST["base_url"], "kimi-vl")
    assert (config.observation, config.action_space, config.history, config.retries) == (
        "screenshot",
        "pyautogui",
        3,
        3,
    )


def test_every_setting_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret-secret")
    (tmp_path / "prompt.txt").write_text("Act. {instruction}")
    config = VlmConfig.from_settings(
        LEAST
        | {
            "api_key_env": "MY_KEY",
            "temperature": "0.2",
            "top_p": "0.9",
            "seed": "7",
            "max_tokens": "512",
            "detail": "none",
        }
        | {"extra": '{"top_k": 5}', "price_input": "1", "price_output": "2", "attempts": "9", "read_timeout": "30"}
        | {"observation": "som", "action_space": "computer_13", "history": "0", "image_size": "1280x720"}
        | {"max_side": "none", "retries": "1", "tree_tokens": "500", "prompt": str(tmp_path / "prompt.txt")}
    )
    assert config.chat.extra == {"top_k": 5}
    assert config.chat.price == Price(1, 2)
    assert (config.chat.temperature, config.chat.seed, config.chat.detail) == (0.2, 7, None)
    assert (config.image_size, config.prompt) == ((1280, 720), "Act. {instruction}")
    assert "secret-secret" not in repr(config)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"temprature": "1"}, "did you mean 'temperature'"),
        ({"observation": "screenshots"}, "did you mean 'screenshot'"),
        ({"action_space": "pyautogu"}, "did you mean 'pyautogui'"),
        ({"history": "-1"}, "history is '-1'"),
        ({"history": "three"}, "whole number"),
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"temperature": "nan"}, "number"),
        ({"image_size": "1280"}, "WIDTHxHEIGHT"),
        ({"extra": "[1]"}, "JSON object"),
        ({"extra": "{"}, "extra is"),
        ({"prompt": "/no/such/file"}, "prompt is"),
        ({"price_input": "1"}, "price_output"),
        ({"api_key_env": "SURELY_NOT_SET_ANYWHERE"}, "SURELY_NOT_SET_ANYWHERE"),
        ({"base_url": "127.0.0.1:8000"}, "base_url"),
    ],
)
def test_a_setting_that_is_wrong_is_named(settings: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        VlmConfig.from_settings(LEAST | settings)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_address_and_model_are_asked_for() -> None:
    with pytest.raises(UsageError, match="missing base_url and model"):
        VlmConfig.from_settings({})


@given(st.sampled_from(sorted(VlmConfig.model_fields)), st.text())
def test_any_text_is_a_value_or_the_users_error(name: str, text: str) -> None:
    try:
        VlmConfig.from_settings(LEAST | {name: text})
    except UsageError as error:
        assert str(error)


# Scaling

SIZES = st.tuples(st.integers(1, 4000), st.integers(1, 4000))


def test_a_point_on_a_smaller_picture_is_one_on_the_screen() -> None:
    scale = Scale((1920, 1080), (1280, 720))
    assert scale.action_to_screen(Click(x=640, y=360)) == Click(x=960, y=540)
    assert scale.action_to_screen(Drag(((0, 0), (1279, 719)))) == Drag(((0, 0), (1919, 1079)))
    assert scale.action_to_screen(Scroll(dy=-3)) == Scroll(dy=-3)
    assert scale.action_to_screen(Key(("ctrl", "s"))) == Key(("ctrl", "s"))
    assert scale.action_to_screen(Zoom((0, 0, 640, 360))) == Zoom((0, 0, 960, 540))


def test_the_longest_side_is_kept_to_and_nothing_is_enlarged() -> None:
    assert Scale.fit((1920, 1080), None, 1280).image == (1280, 720)
    assert Scale.fit((800, 600), None, 1280).image == (800, 600)
    assert Scale.fit((800, 600), (1000, 1000), 1280).image == (1000, 1000)
    assert Scale.fit((800, 600), None, None).image == (800, 600)


@given(SIZES, SIZES, st.data())
def test_every_point_of_the_picture_is_on_the_screen(
    screen: tuple[int, int], image: tuple[int, int], data: st.DataObject
) -> None:
    x, y = data.draw(st.tuples(st.integers(0, image[0]), st.integers(0, image[1])))
    to_x, to_y = Scale(screen, image).to_screen(x, y)
    assert 0 <= to_x < screen[0]
    assert 0 <= to_y < screen[1]


@given(SIZES, st.data())
def test_without_scaling_points_stay(size: tuple[int, int], data: st.DataObject) -> None:
    x, y = data.draw(st.tuples(st.integers(0, size[0] - 1), st.integers(0, size[1] - 1)))
    assert Scale(size, size).to_screen(x, y) == (x, y) == Scale(size, size).to_image(x, y)


@pytest.mark.parametrize("point", [(-1, 0), (0, -1), (1282, 0), (5, 9999)])
def test_a_point_outside_the_picture_is_told_to_the_model(point: tuple[int, int]) -> None:
    with pytest.raises(ReplyError, match="outside the picture, which is 1280x720"):
        Scale((1920, 1080), (1280, 720)).to_screen(*point)
