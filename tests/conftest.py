"""Fixtures for tests on real desktops."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.providers.local import LocalProvider
from deskbench.envs.providers.pool import Pool

from .other_user import OtherUser, made

os.environ["DESKBENCH_CONFIG"] = ""  # tests do not use the settings of the person who runs them

# `nohup`, or a shell's `&`, ignores these; the programs that tests start and interrupt would inherit that.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

# An example's duration depends on how busy the machine is, so it proves nothing.
settings.register_profile("deskbench", deadline=None)
settings.load_profile("deskbench")


LONGEST = "tests/tasks/metrics/test_differential.py"
"""Its three longest tests take minutes each."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that at the end no worker is alone with one."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


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
