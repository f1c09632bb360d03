"""A real browser without a window, for tests that look at pages; tests skip where there is none."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

QUIET = (
    "--headless",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Browser:
    """Chromium, driven by Selenium.

    Args:
        driver: Selenium's.
    """

    def __init__(self, driver: webdriver.Chrome):
        self.driver = driver

    @classmethod
    def start(cls, profile: Path, *more: str) -> Browser:
        """Start it with a new profile, or skip the test."""
        program, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
        if not program or not driver:
            pytest.skip("no browser: Debian's packages chromium and chromium-driver have one")
        options = Options()
        options.binary_location = program
        for word in (*QUIET, f"--user-data-dir={profile}", "--window-size=1200,800", *more):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        return cls(webdriver.Chrome(options=options, service=Service(driver)))

    def open(self, file: Path) -> None:
        """Open a file, and wait until the page has drawn."""
        self.driver.get(file.as_uri())
        self.wait("document.body.dataset.state || document.querySelector('table.cases')")

    def wait(self, condition: str) -> None:
        """Wait for an expression to be true."""
        script = f"""
            const done = arguments[0];
            const look = () => ({condition}) ? done(true) : setTimeout(look, 50);
            look();
        """
        self.driver.set_script_timeout(120)
        self.driver.execute_async_script(script)

    def settle(self) -> None:
        """Wait until every wish so far is drawn."""
        script = "const done = arguments[0]; heteroViewer.ready().then(() => requestAnimationFrame(() => done(true)));"
        self.driver.execute_async_script(script)

    def run(self, script: str):
        """What a script returns."""
        return self.driver.execute_script(script)

    def press(self, key: str) -> None:
        """Press a key."""
        self.run(f"document.dispatchEvent(new KeyboardEvent('keydown', {{key: {json.dumps(key)}, bubbles: true}}))")
        self.settle()

    def canvas(self) -> np.ndarray:
        """The pictures of the case as they are on the screen, ``(rows, columns, 3)``."""
        shot = self.driver.find_element("id", "canvas").screenshot_as_png
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)

    def problems(self) -> list[str]:
        """What the console complained about."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self) -> list[str]:
        """Addresses that the page asked for, besides files on the disk and data in the page."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("file:", "data:", "blob:", "chrome"))]

    def close(self) -> None:
        """End it."""
        self.driver.quit()
