"""The image `full`'s counterparts for the programs of OSWorld's machine, as a part of the page."""

from dataclasses import dataclass

INTRODUCTION = """## What looks different

![Calc in the image `full`](full-office.png)

![Nautilus, Chromium, gedit and GIMP in the image `full`](full-programs.png)

Our versions come from `docker/full.lock`. OSWorld's versions come from its setup guide \
(`desktop_env/server/README.md` of xlang-ai/OSWorld in 2025, read in the copy of SalesforceAIResearch/CoAct-1). \
It names GNOME on Xorg, on Ubuntu 22.04 (20.04 in one place), and five programs with their sources. It names no \
other programs and no version of Chrome, and we had no access to the machine itself, so those are **unknown** \
here. We started every program of the image with a new profile and looked at it. A test measures that the icons \
of LibreOffice, GIMP, VLC, gedit and the archive manager stand out from their background.
"""


@dataclass(frozen=True)
class Program:
    """A program of the image, and how it visibly differs.

    Attributes:
        name: its common name.
        package: the Debian package, whose version is shown.
        theirs: program and version on OSWorld's machine.
        seen: what looks different on the screen.
    """

    name: str
    package: str
    theirs: str
    seen: str


OFFICE = "no tip of the day, no release notes; Colibre icons"
UNKNOWN = "unknown"
"""OSWorld's setup guide does not say."""
UNSEEN = "not compared: OSWorld's version is unknown"
PROGRAMS = (
    Program(
        "XFCE", "xfce4-panel", "GNOME",
        "a menu and a list of windows at the top, a dock at the left; no overview; XFCE's title bars and "
        "settings dialogs",
    ),
    Program(
        "Chromium", "chromium", "Google Chrome, unknown",
        "Chromium's name and icon; the search engine is DuckDuckGo, so a new tab is not Google's page; no welcome "
        "page and no offer to sign in, which a new profile usually shows for some seconds; `google-chrome` starts it",
    ),
    Program("LibreOffice Writer", "libreoffice-writer", "7.3.7.2", OFFICE),
    Program("LibreOffice Calc", "libreoffice-calc", "7.3.7.2", OFFICE),
    Program(
        "LibreOffice Impress", "libreoffice-impress", "7.3.7.2",
        "the same; without a file it asks for a template, as it does for every new profile",
    ),
    Program("GIMP", "gimp", "2.10.30", "its 1024x768 window does not fit on a screen of 800 lines"),
    Program("VLC", "vlc", "3.0.16", "the privacy question is already answered; it fetches nothing from the web"),
    Program(
        "Thunderbird", "thunderbird", UNKNOWN,
        "no account and no account assistant until a task brings its profile; no start page",
    ),
    Program(
        "Files (Nautilus)", "nautilus", UNKNOWN,
        "in a narrow window the sidebar folds away and the buttons move to the bottom; nothing is animated",
    ),
    Program("Text editor (gedit)", "gedit", UNKNOWN, UNSEEN),
    Program(
        "Terminal", "gnome-terminal", UNKNOWN,
        "a white background; the dock opens XFCE's own terminal",
    ),
    Program("Image viewer (eog)", "eog", UNKNOWN, UNSEEN),
    Program("Document viewer (Evince)", "evince", UNKNOWN, UNSEEN),
    Program("Archive manager", "file-roller", UNKNOWN, UNSEEN),
    Program("Calculator", "gnome-calculator", UNKNOWN, UNSEEN),
)  # fmt: skip


def differences(lock: str) -> list[str]:
    """The part of the page, as lines.

    Args:
        lock: the text of the image's lock file, lines of name, version, SHA-256.
    """
    versions = dict(line.split()[:2] for line in lock.splitlines())
    head = ["| our program | version | OSWorld's | what is different |", "|---|---|---|---|"]
    lines = [*INTRODUCTION.splitlines(), "", *head]
    for one in PROGRAMS:
        lines.append(f"| {one.name} | {upstream(versions[one.package])} | {one.theirs} | {one.seen} |")
    return [
        *lines,
        "| code-server (`full-code`) |  | VS Code 1.91.1 | a page in Chromium; see [Desktops](desktops.md) |",
        "",
    ]


def upstream(version: str) -> str:
    """The upstream part of a Debian version: `1:2.10.34-1+deb12u10` gives 2.10.34."""
    return version.partition(":")[2].rpartition("-")[0] if ":" in version else version.rpartition("-")[0]
