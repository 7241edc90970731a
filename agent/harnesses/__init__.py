"""Other frameworks that evaluate or train on our desktops, one module each; a module is imported with its framework."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def require(package: str, extra: str, lowest: tuple[int, ...], below: tuple[int, ...]) -> None:
    """Check that a framework is installed, in a version that its module is written for.

    Raises:
        ImportError: it is not; one line, which names the extra.
    """
    command = f"pip install 'deskbench[{extra}]'"
    try:
        found = version(package)
    except PackageNotFoundError:
        raise ImportError(f"{package} is not installed: {command}") from None
    numbers = tuple(int(part) for part in found.split(".")[: len(lowest)] if part.isdigit())
    if not lowest <= numbers < below:
        wanted = f"at least {_written(lowest)} and below {_written(below)}"
        raise ImportError(f"{package} is version {found}; it must be {wanted}: {command}")


def _written(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
