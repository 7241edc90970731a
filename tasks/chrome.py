"""Chrome from outside: by its debugging port through playwright, and where it keeps its profile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from deskbench.envs import wait
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import CheckError, EnvError, SetupError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

PORT = 9222
"""OSWorld's tasks start Chrome with the port 1337 and socat, which shows it as 9222."""
INNER_PORT = 1337
START_SECONDS = 75.0
PAGE_MS = 60_000.0
QUIET_MS = 10_000.0
NAMES = ("Google Chrome", "Chromium", "Google-chrome", "Chromium-browser")
"""Of the program in the accessibility tree."""
_PROFILES = {
    "Linux": ("~/.config/google-chrome", "~/.config/chromium", "~/snap/chromium/common/chromium"),
    "Darwin": ("~/Library/Application Support/Google/Chrome",),
    "Windows": ("$LOCALAPPDATA\\Google\\Chrome\\User Data",),
}


def profile_file(desktop: Desktop, name: str) -> bytes | None:
    """A file of Chrome's profile (`Default/Preferences`, `Local State`); None where it has written none."""
    platform = desktop.health().platform
    for folder in _PROFILES.get(platform, _PROFILES["Linux"]):
        path = f"{folder}/{name}"
        try:
            return desktop.read_file(path.replace("/", "\\") if platform == "Windows" else path)
        except FileNotFoundError:
            continue
    return None


def profile_folder(desktop: Desktop) -> str:
    """Where the profile is, or would be."""
    folders = _PROFILES.get(desktop.health().platform, _PROFILES["Linux"])
    for folder in folders:
        try:
            desktop.read_file(f"{folder}/Local State")
        except FileNotFoundError:
            continue
        return folder
    return folders[0]


@contextmanager
def browser(desktop: Desktop, *, start: bool = True, seconds: float = START_SECONDS) -> Iterator[Browser]:
    """The desktop's Chrome, while the block lasts; it goes on running after it.

    Args:
        desktop: whose.
        start: start Chrome where nothing answers (the agent may have closed it).
        seconds: how long to wait for it.

    Raises:
        SetupError: nothing answers.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise CheckError(f"{error.name} is not installed: pip install 'deskbench[evaluators]'") from None
    with sync_playwright() as playwright:
        found = _connected(playwright, desktop, 0.0)
        if found is None:
            if start:
                _start(desktop)
            found = _connected(playwright, desktop, seconds)
        if found is None:
            raise SetupError(f"Chrome does not answer on the desktop's ports {PORT} and {INNER_PORT}")
        try:
            yield found
        finally:
            found.close()  # of a browser that we only connected to, this is the connection


def _connected(playwright: Any, desktop: Desktop, seconds: float) -> Browser | None:
    from playwright.sync_api import Error

    def connect() -> Any:
        for port in (PORT, INNER_PORT):
            try:
                return playwright.chromium.connect_over_cdp(f"http://{desktop.forward(port)}", timeout=10_000)
            except (Error, EnvError):
                continue
        return None

    return wait.until(connect, timeout=seconds, interval=0.5, max_interval=2.0)


def _start(desktop: Desktop) -> None:
    for name in ("google-chrome", "chromium"):
        if desktop.run(["which", name]).returncode == 0:
            desktop.launch([name, f"--remote-debugging-port={INNER_PORT}"])
            return


def context_of(found: Browser) -> BrowserContext:
    """The context that a person sees, with its cookies."""
    return found.contexts[0] if found.contexts else found.new_context()


def pages_of(found: Browser) -> list[Page]:
    """Every open tab; not the page that Chrome holds ready for the next one, which is in no window."""
    return [page for context in found.contexts for page in context.pages if not page.is_closed() and _in_window(page)]


def _in_window(page: Page) -> bool:
    from playwright.sync_api import Error

    try:
        session = page.context.new_cdp_session(page)
        session.send("Browser.getWindowForTarget")
        session.detach()
    except Error:
        return False
    return True


def settle(page: Page, milliseconds: float = QUIET_MS) -> bool:
    """Wait until a page has loaded and its network is quiet; False where that does not come."""
    from playwright.sync_api import Error

    try:
        page.wait_for_load_state("networkidle", timeout=milliseconds)
    except Error:
        return False
    return True


@contextmanager
def opened(found: Browser, url: str) -> Iterator[Page]:
    """A page in a tab of its own, loaded as far as it will.

    Raises:
        CheckError: it cannot be opened.
    """
    from playwright.sync_api import Error, TimeoutError

    page = context_of(found).new_page()
    try:
        try:
            page.goto(url, timeout=PAGE_MS)
        except TimeoutError:
            pass  # what has come until now must do: some pages never end loading
        except Error as error:
            raise CheckError(f"{url} cannot be opened: {error.message.splitlines()[0]}") from None
        settle(page)
        yield page
    finally:
        page.close()


def same_page(one: str, other: str) -> bool:
    """Whether two addresses are equal, but for how characters are written and a final slash."""
    return unquote(one).rstrip("/") == unquote(other).rstrip("/")


def tab_at(found: Browser, url: str) -> Page | None:
    """The open tab that shows an address."""
    return next((page for page in pages_of(found) if same_page(page.url, url)), None)
