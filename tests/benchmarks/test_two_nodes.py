"""Two nodes train together, and go on by themselves when a process is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kills a process as Linux does")
@pytest.mark.timeout(2400)
def test_two_nodes(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks" / "two_nodes.py"
    done = subprocess.run([sys.executable, str(script), "--out", str(tmp_path)], capture_output=True, text=True)
    told = [line for line in done.stdout.splitlines() if line.startswith(("yes ", "NO "))]
    assert done.returncode == 0, "\n".join([*told, done.stderr[-20000:]])
    assert len(told) == 7 and all(line.startswith("yes") for line in told)
