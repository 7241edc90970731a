"""Settling in an editor and the full image's programs: by rest, by quiet time alone, and a fixed 2 s."""

from __future__ import annotations

import contextlib
import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker
from PIL import Image, ImageChops

from deskbench.envs import wait
from deskbench.envs.clients.films import picture
from deskbench.envs.clients.http import Client
from deskbench.envs.desktop import DesktopSpec, Provider
from deskbench.envs.providers.docker.image import Recipe
from deskbench.envs.providers.docker.provider import DockerProvider
from deskbench.envs.providers.local import LocalProvider
from deskbench.envs.server.settle import CARET
from deskbench.envs.types import Action, Key, Move, Observation, Type
from deskbench.envs.wire import Film, Observe
from tests.benchmarks.arms import Row, limit_row
from tests.engine import build, docker_engine

FILMS = Path("build/films")
"""Where a picture of each settling goes that was answered too early, with the screens before and after."""
ROUNDS = {"settled": 2, "quiet": 1, "fixed:2": 1}
"""How often each program's actions are carried out with each policy: ten actions a program with `settled`."""
EDITOR_ROUNDS = {**ROUNDS, "settled": 5}
"""The same for the editor: fifty."""
LIMIT = 350
"""Milliseconds within which 95 of 100 answers are to come."""
LATER = 3.0
"""Seconds in which a settled screen must not change."""
AGAIN = 4
"""How many times in a row a screen that does not stand still must have changed, within `LATER` each."""
CELL = 8
"""Pixels: changes that are nearer than this belong together."""
NOW = Observe(policy="immediate")
PAGE = b"""<!doctype html><title>form</title><style>
#panel { max-height: 0; overflow: hidden; transition: max-height .4s; background: silver }
#panel.open { max-height: 400px }
</style>
<input autofocus> <label><input type=checkbox> later</label>
<button onclick="panel.classList.toggle('open')">More</button>
<div id=panel>%s</div>%s""" % (b"<p>A line that slides in.</p>" * 8, b"<p>A line of the page.</p>" * 100)
MENU, SELECT, ESCAPE = Key(("alt", "f")), Key(("ctrl", "a")), Key(("esc",))
TAB, BACK = Key(("tab",)), Key(("shift", "tab"))
EDITOR: list[Action] = [
    Type("settle down, please. "), MENU, ESCAPE, Key(("ctrl", "r")), ESCAPE, SELECT, Key(("ctrl", "shift", "s")),
    Type("report"), ESCAPE, Move(700, 420),
]  # fmt: skip
"""In Mousepad, on a desktop of this machine: typing, a menu, a dialog, a file dialog, and a move that does nothing."""
ACTIONS: dict[str, tuple[str, list[Action]]] = {
    "Writer": ("soffice --writer --norestore", [Type("Settle down. "), MENU, ESCAPE, SELECT, Key(("ctrl", "b"))]),
    "Calc": ("soffice --calc --norestore", [Type("42"), Key(("enter",)), MENU, ESCAPE, Key(("up",))]),
    "Impress": ("soffice --impress --norestore", [ESCAPE, MENU, ESCAPE, TAB, Move(640, 400)]),
    "GIMP (GTK 2)": ("gimp", [MENU, ESCAPE, Key(("ctrl", "n")), ESCAPE, Move(640, 400)]),
    "VLC (Qt 5)": ("vlc", [Key(("alt", "m")), ESCAPE, Key(("ctrl", "i")), ESCAPE, Key(("t",))]),
    "Thunderbird": ("thunderbird", [TAB, TAB, MENU, ESCAPE, Move(640, 400)]),
    "Chromium, a form": (
        "google-chrome ~/form.html",
        [Type("x"), TAB, Key(("space",)), BACK, Key(("pagedown",))],
    ),
    "Chromium, a transition": ("google-chrome ~/form.html", [TAB, TAB, Key(("enter",)), BACK, BACK]),
    "Nautilus (GTK 4)": ("nautilus", [Key(("right",)), Key(("ctrl", "f")), ESCAPE, Key(("f10",)), ESCAPE]),
    "gedit (GTK 3)": ("gedit", [Type("settle "), Key(("ctrl", "f")), ESCAPE, Key(("f10",)), ESCAPE]),
}
"""The command of each program, and actions that leave it much as it was."""


@dataclass
class Found:
    """Waits for one policy.

    Attributes:
        times: how long each was, in milliseconds.
        drawn: when the last of the reaction was drawn before the answer, milliseconds after the action (0 for none),
            without endless ones. No rule can answer earlier. Films keep 200 rectangles of a settling, so it may have
            been later.
        looking: milliseconds of a core that the server spent on looking, in all.
        early: after how many of them the screen changed, and stood still some time later.
        endless: after how many the screen changed again and again, `AGAIN` times.
        rested: how many ended by `rest`.
    """

    times: list[float] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)
    looking: float = 0.0
    early: int = 0
    endless: int = 0
    rested: int = 0

    def __str__(self) -> str:
        """Median, 95th percentile, and early answers."""
        return f"{_both(self.times)}; early {self.early} of {len(self.times)}"

    def add(self, other: Found) -> None:
        """Count another program's, too."""
        self.times += other.times
        self.drawn += other.drawn
        self.looking += other.looking
        self.early += other.early
        self.endless += other.endless
        self.rested += other.rested


def programs() -> list[Row]:
    """The waits after ordinary actions in the editor and in the full image's programs."""
    with contextlib.closing(LocalProvider()) as local:
        found = {"an editor (Mousepad)": _measured(local, "editor", "mousepad", EDITOR, EDITOR_ROUNDS)}
    with docker_engine():
        with contextlib.closing(docker.from_env(timeout=600)) as client:
            build(client, Recipe(programs="full"))
        with contextlib.closing(DockerProvider("full")) as provider:
            for name, (command, actions) in ACTIONS.items():
                found[name] = _measured(provider, name, command, actions, ROUNDS)
    total = {policy: Found() for policy in ROUNDS}
    for policies in found.values():
        for policy, one in policies.items():
            total[policy].add(one)
    ours, quiet, fixed = total.values()
    early = f"{ours.early} of {len(ours.times)}, {ours.endless} more never stood still"
    late = sum(ms > LIMIT for ms in ours.drawn)
    return [
        *(_row(name, policies) for name, policies in found.items()),
        limit_row("settled in all of them, median", statistics.median(ours.times), "ms", 100),
        limit_row("the same, 95 of 100", _late(ours.times), "ms", LIMIT),
        Row("when the last of the reaction was drawn", _both(ours.drawn), "",
            f"{late} of {len(ours.drawn)} after {LIMIT} ms", "", True),
        limit_row("share of a core spent on looking", 100 * ours.looking / sum(ours.times), "%", 15),
        Row("too early in all of them", early, f"quiet: {quiet.early} of {len(quiet.times)}; "
            f"2 s: {fixed.early} of {len(fixed.times)}", early, "0", ours.early == 0),
    ]  # fmt: skip


def _row(name: str, found: dict[str, Found]) -> Row:
    ours, quiet, fixed = found.values()
    beside = f"quiet: {quiet}; 2 s: early {fixed.early} of {len(fixed.times)}"
    rested = (
        f"{ours.rested} by rest, {ours.endless} endless; last drawn at {_both(ours.drawn)}; "
        f"{ours.looking / sum(ours.times):.0%} of a core"
    )
    return Row(f"settled in {name}, median and 95 of 100", str(ours), beside, rested, "", True)


def _both(times: list[float]) -> str:
    return f"{statistics.median(times):.0f}, {_late(times):.0f} ms" if len(times) > 1 else "-"


def _late(times: list[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


def _measured(
    provider: Provider, name: str, command: str, actions: list[Action], rounds: dict[str, int]
) -> dict[str, Found]:
    """Carry out the actions with each policy on one fresh desktop."""
    desktop = provider.start(DesktopSpec())
    assert isinstance(desktop, Client)
    try:
        desktop.write_file("~/form.html", PAGE)
        windows = len(desktop.windows())
        desktop.launch(command, shell=True)
        if not wait.until(lambda: len(desktop.windows()) > windows and not _changes(desktop, 2.0), timeout=60):
            raise RuntimeError(f"{name} shows no window that stands still")
        found = {policy: Found() for policy in rounds}
        for policy, times in rounds.items():
            for number, (place, action) in itertools.product(range(times), enumerate(actions)):
                seen = desktop.act([action], Observe(policy=policy))
                found[policy].times.append(seen.settle_ms)
                found[policy].rested += seen.settled_by == "rest"
                film = None if policy.startswith("fixed") else desktop.settlings()[-1]
                changed = _changes(desktop, LATER, seen)
                endless = bool(changed) and all(_changes(desktop, LATER) for _ in range(1, AGAIN))
                if film is not None:
                    found[policy].looking += film.looking
                    found[policy].drawn += [] if endless else [_last_drawn(film)]
                if changed:
                    found[policy].endless += endless
                    found[policy].early += not endless
                    _keep(f"{name}-{policy}-{number}-{place}{'-endless' if endless else ''}", changed, film)
        return found
    finally:
        provider.stop(desktop)


def _last_drawn(film: Film) -> float:
    """When the last of the reaction was drawn before the answer; 0 if nothing was."""
    ended = film.now if film.ended is None else film.ended
    return max((one.ms for one in film.drawn if one.ms <= ended and not one.habitual), default=0.0)


def _changes(desktop: Client, seconds: float, since: Observation | None = None) -> list[Image.Image]:
    """The screen of an observation, or now, and when it has changed within these seconds, beyond carets and clocks;
    empty if it has not.
    """
    before = _picture(since or desktop.observe(NOW))
    for _ in range(round(seconds / 0.3)):
        wait.sleep(0.3)
        after = _picture(desktop.observe(NOW))
        if any(width > CARET[0] or height > CARET[1] for width, height in _blots(before, after)):
            return [before, after]
    return []


def _picture(seen: Observation) -> Image.Image:
    assert seen.screenshot is not None
    return seen.screenshot.image.convert("RGB")


def _blots(before: Image.Image, after: Image.Image) -> Iterator[tuple[int, int]]:
    """Width and height of each connected part of the screen that differs."""
    mask = ImageChops.difference(before, after).convert("L").point(lambda value: 255 if value else 0)
    small = mask.reduce(CELL).point(lambda value: 255 if value else 0)
    left = {(x, y) for x in range(small.width) for y in range(small.height) if small.getpixel((x, y))}
    while left:
        part, edge = set(), {left.pop()}
        while edge:
            x, y = edge.pop()
            part.add((x, y))
            near = {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)} & left
            left -= near
            edge |= near
        (low_x, high_x), (low_y, high_y) = ((min(side), max(side)) for side in zip(*part, strict=True))
        box = mask.crop((low_x * CELL, low_y * CELL, (high_x + 1) * CELL, (high_y + 1) * CELL)).getbbox()
        if box is not None:
            yield box[2] - box[0], box[3] - box[1]


def _keep(name: str, screens: list[Image.Image], film: Film | None) -> None:
    FILMS.mkdir(parents=True, exist_ok=True)
    place = FILMS / name.replace(" ", "-").replace(":", "-")
    for number, screen in enumerate(screens):
        screen.save(f"{place}-{number}.png")
    if film is not None:
        Path(f"{place}.svg").write_text(picture(film), encoding="utf-8")
