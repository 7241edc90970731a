"""A real browser (Debian's Chromium, without a window) that says what a page did: errors, requests, dialogs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from deskbench.envs import wait

CHROMIUM = "/usr/bin/chromium"


@contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """A browser with more arguments, until the end of the block."""
    arguments = ["--disable-gpu", "--disable-background-networking", *more]
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """A page and what happened in it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def texts(self, selector: str) -> list[str]:
        """What elements hold, as text."""
        found: list[str] = self.page.eval_on_selector_all(selector, "all => all.map(one => one.textContent)")
        return found

    def run(self, code: str) -> Any:
        """What a piece of JavaScript comes to."""
        return self.page.evaluate(code)

    def wait(self, code: str) -> None:
        """Wait until it comes to something true: playwright's own way is an eval, which a content policy forbids."""
        assert wait.until(lambda: self.run(code), timeout=30), code


@contextmanager
def tab(browser: Browser, url: str) -> Iterator[Tab]:
    """Open a page; errors are those of the console, of scripts and of dialogs, requests are all that it made."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    made = Tab(page)

    def dismiss(dialog: Dialog) -> None:
        made.errors.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", lambda said: made.errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: made.errors.append(str(error)))
    page.on("dialog", dismiss)
    page.on("request", lambda request: made.requests.append(request.url))
    try:
        page.goto(url)
        yield made
    finally:
        page.close()
