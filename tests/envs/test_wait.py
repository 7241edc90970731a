"""Waiting ends with success, with the last error, or at the deadline."""

import time
from collections.abc import Callable, Iterator

import pytest

from deskbench.envs import wait

LONG = 60.0
"""Seconds longer than any test."""


def failing(*errors: Exception) -> Callable[[], str]:
    """A function that raises these errors, one a call, and then succeeds."""
    left: Iterator[Exception] = iter(errors)

    def attempt() -> str:
        for error in left:
            raise error
        return "there"

    return attempt


def test_until_returns_what_the_probe_found() -> None:
    answers = iter([None, 0, "found"])
    assert wait.until(lambda: next(answers), timeout=LONG) == "found"
    assert next(answers, "no more") == "no more"


def test_until_looks_once_more_at_the_deadline() -> None:
    looks: list[float] = []
    began = time.monotonic()
    assert wait.until(lambda: looks.append(time.monotonic()), timeout=0.05, interval=LONG) is None
    assert len(looks) == 2 and looks[1] >= began + 0.05


def test_until_without_time_looks_once() -> None:
    looks: list[None] = []
    assert wait.until(lambda: looks.append(None), timeout=0) is None
    assert len(looks) == 1


def test_retry_returns_what_the_attempt_returned() -> None:
    assert wait.retry(failing(OSError("a"), ConnectionError("b")), OSError, timeout=LONG) == "there"


def test_retry_takes_nothing_for_an_answer() -> None:
    assert wait.retry(lambda: None, OSError, timeout=LONG) is None


def test_retry_raises_the_last_error_when_time_is_over() -> None:
    tried: list[None] = []

    def attempt() -> None:
        tried.append(None)
        raise OSError(f"attempt {len(tried)}")

    with pytest.raises(OSError, match="attempt 2"):
        wait.retry(attempt, OSError, timeout=0.05, interval=LONG)
    tried.clear()
    with pytest.raises(OSError, match="attempt 1"):
        wait.retry(attempt, OSError, timeout=0)


def test_another_error_and_a_final_one_end_it_at_once() -> None:
    with pytest.raises(ValueError, match="wrong"):
        wait.retry(failing(OSError("a"), ValueError("wrong"), OSError("b")), OSError, timeout=LONG)
    with pytest.raises(OSError, match="gone"):
        wait.retry(
            failing(OSError("a"), OSError("gone"), OSError("b")), OSError, timeout=LONG,
            final=lambda error: "gone" in str(error),
        )  # fmt: skip
