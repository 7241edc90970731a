"""Every action says where the pointer goes, and can be scaled to another size."""

import pytest

from deskbench.envs.actions import Action, Click, Drag, Key, MouseDown, MouseUp, Move, Scroll, Wait, Zoom


def double(x: int, y: int) -> tuple[int, int]:
    return 2 * x, 2 * y


@pytest.mark.parametrize(
    ("action", "points", "moved"),
    [
        (Move(1, 2), ((1, 2),), Move(2, 4)),
        (Move(0, 0), ((0, 0),), Move(0, 0)),
        (Click("right", 2, 1, 2, ("ctrl",)), ((1, 2),), Click("right", 2, 2, 4, ("ctrl",))),
        (MouseDown("left", 1, 2), ((1, 2),), MouseDown("left", 2, 4)),
        (MouseUp("left", 1, 2), ((1, 2),), MouseUp("left", 2, 4)),
        (Scroll(3, 4, 1, 2), ((1, 2),), Scroll(3, 4, 2, 4)),
        (Drag(((1, 2), (3, 4)), "right"), ((1, 2), (3, 4)), Drag(((2, 4), (6, 8)), "right")),
        (Zoom((1, 2, 3, 4)), (), Zoom((2, 4, 6, 8))),
        (Click(), (), Click()),
        (MouseUp(), (), MouseUp()),
        (Scroll(dy=-3), (), Scroll(dy=-3)),
        (Key(("ctrl", "s")), (), Key(("ctrl", "s"))),
        (Wait(1.0), (), Wait(1.0)),
    ],
)
def test_points_and_the_same_action_elsewhere(
    action: Action, points: tuple[tuple[int, int], ...], moved: Action
) -> None:
    assert action.points == points
    assert action.end == (points[-1] if points else None)
    assert action.moved(double) == moved


def test_a_region_keeps_a_pixel() -> None:
    assert Zoom((10, 10, 12, 12)).moved(lambda x, y: (x // 10, y // 10)) == Zoom((1, 1, 2, 2))
