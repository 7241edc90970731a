"""What the image `full` has in place of each program of OSWorld's machine, as a part of the page."""

from dataclasses import dataclass

INTRODUCTION = """## What looks different

![Calc in the image `full`](full-office.png)

![Nautilus, Chromium, gedit and GIMP in the image `full`](full-programs.png)

Versions here are those of `docker/full.lock`. Those of OSWorld's machine are what its setup guide names \
(`desktop_env/server/README.md` of xlang-ai/OSWorld in 2025, read in the copy of SalesforceAIResearch/CoAct-1): GNOME \
on Xorg, on Ubuntu 22.04 (20.04 in one place), and five programs with where they are to come from. The guide \
names no others, nor the version of Chrome, and the machine itself could not be had where this was written: \
those are **unknown** here. Every program here was started with a new profile and looked at; a test measures \
that the icons of LibreOffice, GIMP, VLC, gedit and the archive manager stand out from their ground.
"""


@dataclass(frozen=True)
class Program:
    """A program of the image, and what an agent sees of the difference.

    Attributes:
        name: what it is to a person.
        package: Debian's, whose version is shown.
        theirs: program and version on OSWorld's machine, as its setup guide has it.
        seen: what is different on the screen.
    """

    name: str
    package: str
    theirs: str
    seen: str


OFFICE = "no tip of the day and no notes of the release; icons are Colibre's"
UNKNOWN = "unknown"
"""OSWorld's setup guide does not say."""
UNSEEN = "not compared: the version there is unknown"
PROGRAMS = (
    Program(
        "XFCE", "xfce4-panel", "GNOME",
        "a menu and a list of windows at the top, a dock at the bottom that hides; no overview; windows have XFCE's "
        "title bars; settings are XFCE's dialogs",
    ),
    Program(
        "Chromium", "chromium", "Google Chrome, unknown",
        "Chromium's name and icon; DuckDuckGo is the search engine, so that a new tab is not Google's page; no first "
        "page, and no offer to sign in, which a new profile makes for some seconds; `google-chrome` starts it",
    ),
    Program("LibreOffice Writer", "libreoffice-writer", "7.3.7.2", OFFICE),
    Program("LibreOffice Calc", "libreoffice-calc", "7.3.7.2", OFFICE),
    Program(
        "LibreOffice Impress", "libreoffice-impress", "7.3.7.2",
        "the same; started without a file it asks for a template, as with every new profile",
    ),
    Program("GIMP", "gimp", "2.10.30", "its window of 1024x768 reaches below a screen of 800 lines"),
    Program("VLC", "vlc", "3.0.16", "the question about privacy has been answered; nothing is fetched from the web"),
    Program(
        "Thunderbird", "thunderbird", UNKNOWN,
        "no account and no assistant for one until a task brings its profile; no page at the start",
    ),
    Program(
        "Files (Nautilus)", "nautilus", UNKNOWN,
        "in a narrow window the side bar folds away and buttons move to the bottom",
    ),
    Program("Text editor (gedit)", "gedit", UNKNOWN, UNSEEN),
    Program(
        "Terminal", "gnome-terminal", UNKNOWN,
        "a white ground; the dock opens XFCE's own terminal",
    ),
    Program("Image viewer (eog)", "eog", UNKNOWN, UNSEEN),
    Program("Document viewer (Evince)", "evince", UNKNOWN, UNSEEN),
    Program("Archive manager", "file-roller", UNKNOWN, UNSEEN),
    Program("Calculator", "gnome-calculator", UNKNOWN, UNSEEN),
)  # fmt: skip


def differences(lock: str) -> list[str]:
    """The part of the page, line by line.

    Args:
        lock: the text of the image's lock file, lines of name, version, SHA-256.
    """
    versions = dict(line.split()[:2] for line in lock.splitlines())
    lines = [*INTRODUCTION.splitlines(), "", "| here | version | there | what is different |", "|---|---|---|---|"]
    for one in PROGRAMS:
        lines.append(f"| {one.name} | {upstream(versions[one.package])} | {one.theirs} | {one.seen} |")
    return [
        *lines,
        "| code-server (`full-code`) |  | VS Code 1.91.1 | a page in Chromium; see [desktops.md](desktops.md) |",
        "",
    ]


def upstream(version: str) -> str:
    """The program's own part of a Debian version: `1:2.10.34-1+deb12u10` is 2.10.34."""
    return version.partition(":")[2].rpartition("-")[0] if ":" in version else version.rpartition("-")[0]
