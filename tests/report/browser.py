"""Debian's Chromium, headless, driven by selenium. Only files are opened."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = "chromium", "chromedriver"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1400,900"),
)


def missing() -> str:
    """Why the tests in a browser cannot run here; empty if they can."""
    lost = [name for name in (CHROMIUM, DRIVER) if shutil.which(name) is None]
    return f"{' and '.join(lost)} not installed (Debian: chromium, chromium-driver)" if lost else ""


class Page:
    """A page in the browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, file: Path, fragment: str = "") -> None:
        """Load a file anew, and wait until it has drawn what the fragment asks for."""
        self.driver.get("about:blank")
        self.driver.get(f"{file.as_uri()}{fragment}")
        self.wait("document.documentElement.dataset.opened !== undefined")

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: str, seconds: float = 10) -> None:
        """Wait until an expression holds; AssertionError with it if it does not."""
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        try:
            WebDriverWait(self.driver, seconds, 0.02).until(
                lambda driver: driver.execute_script(f"return Boolean({condition})")
            )
        except TimeoutException:
            raise AssertionError(f"never true: {condition}; console: {self.errors()}") from None

    def click(self, selector: str) -> None:
        """Click on the first element of a selector, as a person would."""
        self.driver.find_element("css selector", selector).click()

    def press(self, keys: str) -> None:
        """Press keys in the page."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(keys).perform()

    def text(self, selector: str) -> str:
        """All text of an element, folded parts included."""
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def count(self, selector: str) -> int:
        """How many elements of a selector are shown."""
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".filter((one) => one.checkVisibility()).length"
        )
        return self.run(script, selector)

    def errors(self) -> list[str]:
        """Warnings and errors of the console since the last call."""
        return [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """The size of the window, and which theme the system asks for."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A browser with a new profile in the empty folder."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which(DRIVER))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Page(driver)
    finally:
        driver.quit()
