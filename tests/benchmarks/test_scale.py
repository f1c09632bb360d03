"""The benchmark of many cases, with few of them: it measures, and both ways give the same files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads memory from /proc")
def test_both_ways(tmp_path):
    pytest.importorskip("distributed")
    script = Path(__file__).parents[2] / "benchmarks" / "scale.py"
    arguments = ["--cases", "4", "--workers", "1", "--what", "predict", "--folder", str(tmp_path / "work")]
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "predict, 4 cases, 1 process(es)" in done.stdout and "map costs" in done.stdout
    assert "differing: none" in done.stdout
