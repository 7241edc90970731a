"""Images of the desktop: their build context, and building them with a Docker engine.

The context is `docker/`, the local provider's list of packages, the server, and its Python libraries. The same sources
give the same bytes on every machine, which keeps an engine's cache valid.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from deskbench.envs.errors import StartError, UsageError
from deskbench.envs.providers.payload import ENVS, digest, library_files, server_files, tree

if TYPE_CHECKING:
    import docker

DOCKER = ENVS.parent / "docker"
SESSIONS = {"light": "openbox", "full": "xfce"}
"""The desktop session of an image, by its list of programs."""
PROGRAMS = tuple(SESSIONS)
NAMES = tuple(f"{programs}{code}" for programs in PROGRAMS for code in ("", "-code"))
"""Short names of images."""
REPOSITORY = "deskbench/desktop"
BASE = "debian:12-slim"
MADE_BASE = "deskbench/base:bookworm"
"""The image that replaces BASE when no registry can be reached."""
SUITE = "bookworm"
SOURCES_LABEL = "org.deskbench.sources"
"""Image label: a digest of what an image is built from, which shows whether it is out of date."""
PROGRAMS_LABEL = "org.deskbench.programs"
"""Image label: its list of programs."""
FILES, FOLDERS = ("Dockerfile", "install.sh", "image.txt"), ("code", "home", "settings")
"""What an image is built from in `DOCKER`, besides its list of programs."""
NOT_IN_IMAGE = frozenset({"bubblewrap", "slirp4netns", "uidmap"})
"""Packages of the local provider that a container does not need."""
CODE = "code"
"""The program that only images with code-server have."""
LOCK = "/usr/share/deskbench/installed.txt"


@dataclass(frozen=True)
class Recipe:
    """What an image is built from.

    Attributes:
        programs: a list in `docker/`: light or full.
        base: a Debian 12 image; None takes BASE, or makes one from packages if BASE cannot be pulled.
        screen: WIDTHxHEIGHT, for containers that are started by hand.
        locked: install the versions of the lock file.
        code: install code-server in place of VS Code.
    """

    programs: str = "light"
    base: str | None = None
    screen: str = "1280x800"
    locked: bool = False
    code: bool = False

    @property
    def tag(self) -> str:
        """The image's name."""
        return f"{REPOSITORY}:{self.programs}" + ("-code" if self.code else "")


def building(name: str) -> str:
    """The command that builds the image of this name, or the default image if deskbench builds none of this name."""
    short = name.removeprefix(f"{REPOSITORY}:")
    programs, code, _ = (short if short in NAMES else NAMES[0]).partition(f"-{CODE}")
    options = [f"--programs {programs}"] * (programs != PROGRAMS[0]) + [f"--{CODE}"] * bool(code)
    return " ".join(("deskbench image build", *options))


def lock_file(programs: str) -> Path:
    """The path of the lock file of an image's packages; its lines are name, version, SHA-256."""
    return DOCKER / f"{programs}.lock"


def programs_file(programs: str) -> Path:
    """Where the names of an image's programs are kept, one a line."""
    return DOCKER / f"{programs}.programs"


@cache
def known_programs() -> frozenset[str]:
    """The programs on the PATH of at least one image, as its file lists them."""
    return frozenset({CODE, *(name for one in PROGRAMS for name in listed(programs_file(one)))})


def context(recipe: Recipe) -> bytes:
    """The build context as a tar archive."""
    lock = lock_file(recipe.programs)
    parts = sources(recipe.programs)
    parts["authorities.pem"] = authorities() if recipe.code else b""
    parts["lock.txt"] = lock.read_bytes() if recipe.locked and lock.exists() else b""
    parts |= dict(library_files("libraries"))
    return _tar(parts)


def sources(programs: str) -> dict[str, bytes]:
    """The part of the context that is deskbench's own, for a list of programs: paths and their bytes."""
    parts = dict(tree({name: DOCKER / name for name in (*FILES, *FOLDERS, f"{programs}.txt")}, ""))
    parts["desktop.txt"] = "".join(f"{name}\n" for name in desktop_packages()).encode()
    return parts | dict(server_files("server"))


def outdated(labels: Mapping[str, str]) -> bool:
    """Whether an image with these labels was built from other sources, or not by deskbench."""
    programs = labels.get(PROGRAMS_LABEL)
    return programs not in PROGRAMS or labels.get(SOURCES_LABEL) != digest(sources(programs))


def authorities() -> bytes:
    """The certificates that this machine trusts, for machines behind a proxy with its own certificate."""
    named = os.environ.get("SSL_CERT_FILE")
    return Path(named).read_bytes() if named else b""


def desktop_packages() -> list[str]:
    """The Debian packages of the desktop itself, without applications."""
    return [name for name in listed(ENVS / "packages.txt") if name not in NOT_IN_IMAGE]


def listed(path: Path) -> list[str]:
    """The packages in a list file; # starts a comment."""
    names = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [name for name in names if name]


def _tar(parts: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in sorted(parts.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def build(engine: docker.DockerClient, recipe: Recipe, say: Callable[[str], None]) -> str:
    """Build an image and return its id, `sha256:…`.

    Args:
        engine: the engine to build with.
        recipe: what to build.
        say: called with each step.

    Raises:
        UsageError: there is no such list of programs, no base image, or no lock file.
        StartError: the build failed; the message has its last lines.
    """
    if recipe.programs not in PROGRAMS:
        raise UsageError(f"unknown list of programs {recipe.programs!r}; known lists: {', '.join(PROGRAMS)}")
    if recipe.locked and not lock_file(recipe.programs).exists():
        raise UsageError(f"{lock_file(recipe.programs)} does not exist: build once with --write-lock")
    arguments = {
        "BASE": base_image(engine, recipe.base, say), "PROGRAMS": recipe.programs, "SCREEN": recipe.screen,
        "LOCKED": str(int(recipe.locked)), "SESSION": SESSIONS[recipe.programs], "CODE": str(int(recipe.code)),
    }  # fmt: skip
    labels = {SOURCES_LABEL: digest(sources(recipe.programs)), PROGRAMS_LABEL: recipe.programs}
    said: list[str] = []
    answers = engine.api.build(
        fileobj=io.BytesIO(context(recipe)), custom_context=True, tag=recipe.tag, buildargs=arguments, rm=True,
        forcerm=True, decode=True, network_mode="host", labels=labels,
    )  # fmt: skip
    for answer in answers:
        line = str(answer.get("stream") or answer.get("error") or "").strip()
        if line:
            said.append(line)
            say(line)
        if "error" in answer:
            raise StartError(f"could not build {recipe.tag}: " + "\n".join(said[-15:]))
    return str(engine.images.get(recipe.tag).id)


def base_image(engine: docker.DockerClient, wanted: str | None, say: Callable[[str], None]) -> str:
    """The name of a base image that the engine has. Pulls it, or makes it from packages.

    Raises:
        UsageError: it can be neither pulled nor built; the message gives the fix.
    """
    import docker

    for name in (wanted,) if wanted else (BASE, MADE_BASE):
        if engine.images.list(name):
            return name
    name = wanted or BASE
    try:
        say(f"pulling {name}")
        engine.images.pull(name)
    except docker.errors.APIError as error:
        if wanted:
            raise UsageError(f"the base image {wanted} cannot be pulled: {error.explanation or error}") from None
        return _make_base(engine, f"{name} cannot be pulled", say)
    return name


def _make_base(engine: docker.DockerClient, why: str, say: Callable[[str], None]) -> str:
    say(f"{why}: making {MADE_BASE} from Debian's packages")
    try:
        made = subprocess.run(
            ["mmdebstrap", "--variant=minbase", "--include=ca-certificates", SUITE, "-"],
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise UsageError(f"{why}, and mmdebstrap is not installed to make one: apt-get install mmdebstrap") from None
    if made.returncode != 0:
        tail = made.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
        raise UsageError(f"{why}, and mmdebstrap failed: {' | '.join(tail)}")
    repository, _, tag = MADE_BASE.partition(":")
    engine.api.import_image_from_data(made.stdout, repository=repository, tag=tag)
    return MADE_BASE


def installed(engine: docker.DockerClient, image: str) -> str:
    """An image's packages, in the format of the lock file."""
    container = engine.containers.create(image)
    try:
        chunks, _ = container.get_archive(LOCK)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            member = archive.extractfile(archive.getmembers()[0])
            assert member is not None
            return member.read().decode()
    finally:
        container.remove(force=True)


def programs(engine: docker.DockerClient, image: str) -> str:
    """The programs on an image's PATH, one a line; without `CODE`."""
    command = 'IFS=:; for folder in $PATH; do ls "$folder"; done'
    found = engine.containers.run(image, ["-c", command], entrypoint="sh", remove=True).decode()
    return "".join(f"{name}\n" for name in sorted({*found.split()} - {CODE}))


def differing(lock: Path, packages: str) -> list[str]:
    """Packages that differ from the lock file; empty if there is no lock file."""
    if not lock.exists():
        return []
    locked = set(lock.read_text(encoding="utf-8").splitlines())
    return [line.rpartition(" ")[0] for line in packages.splitlines() if line not in locked]
