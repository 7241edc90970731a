"""Fixtures for tests on real desktops."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.providers.local import LocalProvider
from deskbench.envs.providers.pool import Pool

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("deskbench", deadline=None)
settings.load_profile("deskbench")


@pytest.fixture(scope="session")
def local_provider() -> Iterator[Pool]:
    """The local provider with a warm desktop; everything is ended with the tests."""
    pool = Pool(LocalProvider())
    yield pool
    pool.close()


@pytest.fixture
def desktop(local_provider: Pool) -> Iterator[Desktop]:
    """A fresh local desktop."""
    found = local_provider.start(DesktopSpec())
    yield found
    local_provider.stop(found)
