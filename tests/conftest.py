"""Fixtures for tests on real desktops."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.providers.local import LocalProvider
from deskbench.envs.providers.pool import Pool

from .other_user import OtherUser, made

# An example's duration depends on how busy the machine is, so it proves nothing.
settings.register_profile("deskbench", deadline=None)
settings.load_profile("deskbench")


@pytest.fixture(scope="session")
def local_provider() -> Iterator[Pool]:
    """The local provider with a warm desktop; stopped after the tests."""
    pool = Pool(LocalProvider())
    yield pool
    pool.close()


@pytest.fixture
def desktop(local_provider: Pool) -> Iterator[Desktop]:
    """A fresh local desktop."""
    found = local_provider.start(DesktopSpec())
    yield found
    local_provider.stop(found)


@pytest.fixture(scope="session")
def other_user() -> Iterator[OtherUser]:
    """An ordinary user of this machine, for tests that run as root."""
    with tempfile.TemporaryDirectory(prefix="user-", dir="/var/tmp") as folder, made(Path(folder)) as user:
        yield user
