"""A wheelhouse: everything by its hash, installed where there is no index, and refused if it was changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "wheelhouse.sh"
SETUP = "from setuptools import setup\nsetup(name='one-module', version='1.0', py_modules=['one_module'])\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_is_installed_without_an_index_and_refused_if_it_was_changed(tmp_path):
    project, house, there = (tmp_path / name for name in ("project", "house", "there"))
    (project / "tools").mkdir(parents=True)
    shutil.copy(SCRIPT, project / "tools")
    (project / "setup.py").write_text(SETUP)
    (project / "one_module.py").touch()
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "false"}  # pip: "false" is without
    making = [project / "tools" / "wheelhouse.sh", house, sys.executable]
    done = subprocess.run(making, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "1 wheels in" in done.stdout, done.stderr

    install = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", house, "--require-hashes"]
    install += ["-r", house / "requirements.lock", "--target", there]
    assert subprocess.run(install, capture_output=True).returncode == 0
    assert (there / "one_module.py").is_file()

    (wheel,) = house.glob("*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"more")
    done = subprocess.run([*install[:-1], tmp_path / "again"], capture_output=True, text=True)
    assert done.returncode != 0 and "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "again").exists()
