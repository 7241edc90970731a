"""A page of 5,000 buttons in Chromium, for reading its accessibility tree."""

from deskbench.envs.desktop import Desktop

NAMES = [f"b{row}-{number}" for row in range(100) for number in range(50)]
_ROWS = [
    "".join(f"<button>{name}</button>" for name in NAMES[start : start + 50]) for start in range(0, len(NAMES), 50)
]
_PAGE = "<!doctype html><title>buttons</title>" + "".join(f"<div>{row}</div>" for row in _ROWS)


def show(desktop: Desktop) -> None:
    """Open the page; its buttons are in the tree a moment later."""
    desktop.write_file("~/page.html", _PAGE.encode())
    desktop.launch(
        "chromium --no-sandbox --no-first-run --password-store=basic --force-renderer-accessibility "
        "file://$HOME/page.html",
        shell=True,
    )
