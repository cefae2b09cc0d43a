"""A real browser without a window, for tests of pages. It is started once, and never fetched: no Chromium, no test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
TRAP = """
window.ran = [];
window.violations = [];
for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = () => window.ran.push(name);
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""
"""Before any script of the page: what injected code would call, and what the content-security policy stopped."""


@dataclass
class Visit:
    """An open page, and everything that it did besides showing itself."""

    page: Page
    requests: list[str] = field(default_factory=list)
    """Addresses it asked for, its own first."""
    answers: list[str] = field(default_factory=list)
    """Those that answered; a request that the policy stops does not."""
    complaints: list[str] = field(default_factory=list)
    """Uncaught errors, warnings and errors on the console, dialogs."""

    def ran(self) -> list[str]:
        """What injected code has called."""
        return list(self.page.evaluate("window.ran"))

    def violations(self) -> list[str]:
        """Directives of the content-security policy that something on the page broke."""
        return list(self.page.evaluate("window.violations"))


Visitor = Callable[..., Visit]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    with sync_playwright() as playwright:
        # Continuous integration runs as root, where Chromium's sandbox does not start.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visitor]:
    """`visit(path_or_url, width=1280, height=900, color_scheme="light")` -> Visit, in a profile of its own."""
    contexts = []

    def open_page(
        where: Path | str, width: int = 1280, height: int = 900, color_scheme: str = "light", **options: object
    ) -> Visit:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=color_scheme, **options
        )
        contexts.append(context)
        context.set_default_timeout(10_000)
        context.add_init_script(TRAP)
        visit = Visit(context.new_page())
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.on("response", lambda response: visit.answers.append(response.url))
        visit.page.on("pageerror", lambda error: visit.complaints.append(f"error: {error}"))
        visit.page.on("dialog", lambda dialog: (visit.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        visit.page.on(
            "console",
            lambda said: visit.complaints.append(said.text) if said.type in {"error", "warning"} else None,
        )
        visit.page.goto(where.as_uri() if isinstance(where, Path) else where)
        return visit

    yield open_page
    for context in contexts:
        context.close()
