"""How programs look: every button stands out from its background, in screenshots of real desktops."""

import contextlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

import docker
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deskbench.envs import wait
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.providers.docker import image as images
from deskbench.envs.providers.docker.provider import DockerProvider
from deskbench.envs.providers.pool import Pool
from deskbench.envs.server.accessibility.markup import NAMESPACES
from deskbench.envs.types import Key, Move, Observation
from deskbench.envs.wire import Observe

from ...engine import build, docker_engine

pytestmark = [pytest.mark.desktop, pytest.mark.slow, pytest.mark.timeout(600)]
LOOK = Observe(accessibility=True)
NOW = Observe(policy="immediate")
PATIENCE = 60.0
LEAST = 2.0
"""A contrast ratio: LibreOffice's pale folder has 2.4, white icons on its toolbars have 1.04."""
OFFICE = ["writer", "calc", "impress"]
OTHERS = [("gimp", 15), ("vlc", 5), ("gedit", 5), ("file-roller", 3)]
"""Programs of three other toolkits, with a minimum number of buttons."""
BUTTONS = ("push-button", "toggle-button")
DARK = b"""<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Common/Misc"><prop oor:name="SymbolStyle" oor:op="fuse">
<value>colibre_dark</value></prop></item>
</oor:items>
"""
DOCK, BELOW, EDGE = np.s_[260:540, :40], np.s_[30:], np.s_[:, 880:]
"""Where the dock is on a screen of 800 lines, what is below the upper panel with its clock, and of that what is to the
right of Nautilus's files."""
SMALLEST = 20
"""In pixels; anything smaller is an arrow or a handle."""


@dataclass(frozen=True)
class Box:
    """A position and size on the screen, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def of(cls, element: ET.Element) -> "Box":
        x, y, width, height = (
            int(number)
            for name in ("screencoord", "size")
            for number in re.findall(r"-?\d+", element.get(f"{{{NAMESPACES['cp']}}}{name}", ""))
        )
        return cls(x, y, width, height)

    def icon(self) -> tuple[int, int, int, int]:
        """The picture on a button, without its edge and without the arrow that some have to the right."""
        worded = self.width > 2 * self.height
        width = self.width if worded else min(self.width, self.height)
        return self.x + 2, self.y + 2, self.x + width - 2, self.y + self.height - 2


def luminance(picture: Image.Image) -> NDArray[np.float64]:
    """Relative luminance of each pixel, by WCAG 2.2."""
    part = np.asarray(picture.convert("RGB")).reshape(-1, 3) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    found: NDArray[np.float64] = np.asarray(linear @ [0.2126, 0.7152, 0.0722])
    return found


def contrast(picture: Image.Image) -> float:
    """WCAG's contrast between the most frequent colour, the background, and the 2 % of pixels that differ most."""
    seen = luminance(picture)
    values, counts = np.unique(seen.round(4), return_counts=True)
    ground = values[counts.argmax()]
    ratios = np.sort((np.maximum(seen, ground) + 0.05) / (np.minimum(seen, ground) + 0.05))
    return float(ratios[-max(1, len(ratios) // 50)])


def offered(root: ET.Element) -> Iterator[ET.Element]:
    """The visible and enabled buttons below an element."""
    for element in root.iter():
        states = (element.get(f"{{{NAMESPACES['st']}}}{name}") for name in ("showing", "enabled"))
        if element.tag in BUTTONS and all(state == "true" for state in states):
            yield element


def looked_at(root: ET.Element, picture: Image.Image) -> dict[str, float]:
    """The contrast of each of a program's buttons that is fully on the screen, by name and place."""
    found = {}
    for button in offered(root):
        box = Box.of(button)
        left, top, right, bottom = box.icon()
        if (
            min(box.width, box.height) >= SMALLEST
            and min(left, top) > 0
            and right < picture.width
            and bottom < picture.height
        ):
            found[f"{button.get('name')} {box.x},{box.y}"] = contrast(picture.crop((left, top, right, bottom)))
    return found


def buttons(desktop: Desktop, program: str) -> dict[str, float]:
    """The contrast of each button of a program, by its name in the accessibility tree."""
    seen = desktop.observe(LOOK)
    assert seen.screenshot is not None
    for found in ET.fromstring(seen.accessibility or "<none/>"):
        if found.get("name") == program:
            return looked_at(found, seen.screenshot.image)
    return {}


def start(desktop: Desktop, command: str, program: str, least: int) -> dict[str, float]:
    """Start a program, wait for the given number of buttons, and return their contrast."""
    desktop.launch(command, shell=True)
    found: list[dict[str, float]] = []

    def there() -> bool:
        found.append(buttons(desktop, program))
        return len(found[-1]) >= least

    assert wait.until(there, timeout=PATIENCE), found[-1]
    return found[-1]


def pale(found: dict[str, float]) -> dict[str, float]:
    return {name: ratio for name, ratio in found.items() if ratio < LEAST}


def office(desktop: Desktop, program: str) -> dict[str, float]:
    """The contrast of each named button of a LibreOffice program; those without a name are arrows of lists."""
    desktop.launch(["soffice", f"--{program}"])
    start(desktop, "true", "soffice", 30)
    desktop.act([Key(("esc",))])  # Impress asks for a template
    desktop.act([Move(x=640, y=600)])
    return {name: ratio for name, ratio in buttons(desktop, "soffice").items() if not name.startswith(" ")}


@pytest.fixture(scope="module")
def full() -> Iterator[Pool]:
    with docker_engine(), contextlib.closing(docker.from_env(timeout=600)) as client:
        build(client, images.Recipe(programs="full"))
        made = Pool(DockerProvider("full"))
        yield made
        made.close()


@pytest.fixture
def xfce(full: Pool) -> Iterator[Desktop]:
    found = full.start(DesktopSpec())
    yield found
    full.stop(found)


@pytest.mark.parametrize("program", OFFICE)
def test_libreoffices_icons_stand_out(xfce: Desktop, program: str) -> None:
    found = office(xfce, program)
    assert pale(found) == {}
    assert {name.split()[0] for name in found} >= {"Open", "Save", "Text" if program == "impress" else "Bold"}


def test_icons_for_a_dark_ground_would_be_found(xfce: Desktop) -> None:
    """LibreOffice uses the first icons that it finds if it does not know the session's type."""
    xfce.write_file("~/.config/libreoffice/4/user/registrymodifications.xcu", DARK)
    assert {name.split()[0] for name in pale(office(xfce, "writer"))} >= {"Bold", "Italic", "Underline", "Center"}


def test_libreoffices_icons_stand_out_on_this_machine(desktop: Desktop) -> None:
    assert pale(office(desktop, "writer")) == {}


@pytest.mark.parametrize(("program", "least"), OTHERS)
def test_other_icons_stand_out(xfce: Desktop, program: str, least: int) -> None:
    assert pale(start(xfce, program, program, least)) == {}


def test_icons_are_of_a_theme_that_is_there(xfce: Desktop) -> None:
    """Without it, Nautilus shows grey outlines and placeholders for missing icons."""
    theme = xfce.run(["xfconf-query", "-c", "xsettings", "-p", "/Net/IconThemeName"]).stdout.strip()
    assert xfce.run(["test", "-e", f"/usr/share/icons/{theme}/index.theme"]).returncode == 0, theme


def test_chromium_does_not_offer_to_sign_in(xfce: Desktop) -> None:
    """The offer disappears after some seconds, which moves the toolbar."""
    found = start(xfce, "google-chrome", "Chromium", 5)
    assert not [name for name in found if "Sign in" in name], found


def test_the_dock_stays_when_a_window_covers_its_place(xfce: Desktop) -> None:
    """It would hide a third of a second later, and change a settled screen."""
    before = seen(xfce)[DOCK]
    xfce.launch("gedit")
    assert xfce.run(["wmctrl", "-x", "-r", "gedit", "-e", "0,0,100,-1,-1"]).returncode == 0
    wait.sleep(2.0)
    assert np.array_equal(before, seen(xfce)[DOCK])


def test_scroll_bars_of_gtk_4_stay(xfce: Desktop) -> None:
    """They would hide two seconds after a key. The ring around what has the focus does so after three."""
    xfce.launch("nautilus")
    screens = [seen(xfce)[BELOW]]

    def still() -> bool:
        wait.sleep(1.0)
        screens.append(seen(xfce)[BELOW])
        return np.array_equal(screens[-2], screens[-1])

    assert wait.until(still, timeout=PATIENCE)
    acted = pixels(xfce.act([Key(("right",))]))[BELOW]
    assert not np.array_equal(screens[-1], acted)
    wait.sleep(3.0)
    assert np.array_equal(acted[EDGE], seen(xfce)[BELOW][EDGE])


def seen(desktop: Desktop) -> NDArray[np.uint8]:
    """The screen's pixels now, line by line."""
    return pixels(desktop.observe(NOW))


def pixels(observation: Observation) -> NDArray[np.uint8]:
    assert observation.screenshot is not None
    return np.asarray(observation.screenshot.image.convert("RGB"))
