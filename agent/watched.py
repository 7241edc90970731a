"""What a user may ask for beside an episode: its film, and a way to take the desktop over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from deskbench.agent.config import RunConfig
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.offers import offer, withdraw
from deskbench.agent.runs.record import EpisodeWriter, write_atomic
from deskbench.envs.clients.vnc import Viewer
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import EnvError, StorageError


@contextmanager
def watched(config: RunConfig, desktop: Desktop | Exception, writer: EpisodeWriter) -> Iterator[None]:
    """Film a desktop and offer to take it over, as the run's settings say, until the end of the block.

    What the desktop cannot do is noted in the episode.

    Raises:
        UsageError: noVNC, websockify or x11vnc is missing.
    """
    with ExitStack() as ends:
        if not isinstance(desktop, Exception):
            if config.take_over:
                ends.enter_context(_offered(desktop, writer))
            if config.video:
                ends.enter_context(_filmed(desktop, writer))
        yield


@contextmanager
def _offered(desktop: Desktop, writer: EpisodeWriter) -> Iterator[None]:
    viewer = None
    try:
        viewer = Viewer(desktop)
        offer(writer.folder, viewer.url)
    except (EnvError, OSError) as error:
        writer.note("error", {"error": f"the desktop cannot be taken over: {error}"})
    try:
        yield
    finally:
        withdraw(writer.folder)
        if viewer is not None:
            viewer.close()


@contextmanager
def _filmed(desktop: Desktop, writer: EpisodeWriter) -> Iterator[None]:
    asked = time.time()
    try:
        desktop.start_recording()
    except EnvError as error:
        writer.note("error", {"error": f"the screen is not filmed: {error}"})
        yield
        return
    began = time.time()
    try:
        yield
    finally:
        ended = time.time()
        try:
            write_atomic(EpisodeFolder(writer.folder).video, desktop.end_recording(), sync=False)
            writer.note("video", {"asked": asked, "began": began, "ended": ended})
        except (EnvError, StorageError) as error:
            writer.note("error", {"error": f"the film is lost: {error}"})
