"""How large a page of a BraTS case is, how long it takes to make and to open; one command, no data needed.

Usage: python benchmarks/viewer.py [--cases 50]. A synthetic head of 240×240×155 voxels with noise in four modalities,
three regions and two maps. The time to open needs chromium and chromedriver; without them it is left out.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from nnunet_hetero.viewer.layers import Background, CaseView, Overlay
from nnunet_hetero.viewer.page import index_page, write_case_page
from nnunet_hetero.viewer.picture import Picture
from nnunet_hetero.viewer.slices import thumbnail

SIZE = (240, 240, 155)
LIMITS = {
    "page, MB": 6.0,
    "making it, s": 5.0,
    "first picture, s": 3.0,
    "viewer ready, s": 3.0,
    "list of cases, MB": 1.0,
}
REPEATS = 3


def case() -> CaseView:
    """A head as noisy as a real one: compression gains on it what it gains there, about."""
    random = np.random.default_rng(0)
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in SIZE), indexing="ij")
    radius = np.sqrt((axes[0] / 0.6) ** 2 + (axes[1] / 0.75) ** 2 + (axes[2] / 0.85) ** 2)
    far = np.sqrt((axes[0] - 0.2) ** 2 + axes[1] ** 2 + axes[2] ** 2)
    labels = sum((far < limit).astype(np.uint8) for limit in (0.3, 0.2, 0.12))
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    backgrounds = []
    for number, name in enumerate(("T1", "T1c", "T2", "FLAIR")):
        noisy = random.normal(400 + 100 * np.cos((4 + number) * axes[0] * np.pi), 6).astype(np.float32)
        backgrounds.append(Background(name, "image", Picture(np.where(radius < 1, noisy, 0), affine)))
    entropy = np.exp(-(((far - 0.25) / 0.05) ** 2)).astype(np.float32) * 0.6
    overlays = [Overlay("whole tumor", kind, Picture(entropy, affine)) for kind in ("entropy", "mutual information")]
    regions = {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": 3}
    return CaseView("benchmark", regions, Picture(labels, affine), backgrounds, overlays)


PAINTED = """
    const done = arguments[0];
    new PerformanceObserver((list) => done(Math.max(...list.getEntries().map((entry) => entry.renderTime))))
        .observe({ type: "element", buffered: true });
"""
READY = "return performance.getEntriesByName('ready')[0].startTime"


def seconds_to_open(page: Path, folder: Path) -> tuple[float | None, float | None]:
    """From the call, by the page's own clock, until slices of the case are painted, and until the viewer has drawn.

    None without a browser.
    """
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        return None, None
    from helpers.looking.browser import Browser

    browser = Browser.start(folder / "profile")
    try:
        painted, drawn = [], []
        for _ in range(REPEATS):
            browser.driver.get("about:blank")
            browser.open(page)
            painted.append(browser.driver.execute_async_script(PAINTED) / 1000)
            drawn.append(browser.run(READY) / 1000)
        return statistics.median(painted), statistics.median(drawn)
    finally:
        browser.close()


def main() -> int:
    """Print a table; exit code 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=50, help="Cases of the list. Default: %(default)s")
    arguments = parser.parse_args()
    view = case()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        times = []
        for _ in range(REPEATS):
            begin = time.perf_counter()
            page = write_case_page(view, folder / "page.html")
            times.append(time.perf_counter() - begin)
        numbers = {f"{region}, ml": 1.0 for region in view.regions}
        row = {"case": "BraTS_001", "page": "page.html", "thumbnail": thumbnail(view), "numbers": numbers}
        painted, drawn = seconds_to_open(page, folder)
        found = {
            "page, MB": page.stat().st_size / 1e6,
            "making it, s": statistics.median(times),
            "first picture, s": painted,
            "viewer ready, s": drawn,
            "list of cases, MB": len(index_page([row] * arguments.cases).encode()) / 1e6,
        }
    missed = [name for name, value in found.items() if value is not None and value > LIMITS[name]]
    for name, value in found.items():
        text = "no browser" if value is None else f"{value:.2f}"
        print(f"{name:20} {text:>10}   limit {LIMITS[name]:.1f}{'   MISSED' if name in missed else ''}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
