"""The benchmarks are scripts of their own folder, not part of the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")
sys.path.insert(0, BENCHMARKS)
# For the processes that tests start.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [BENCHMARKS, os.environ.get("PYTHONPATH")]))
