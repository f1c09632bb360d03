"""Packages that a page of the documentation spells out, installed as a reader would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers.warm import run_warm

ROOT = Path(__file__).resolve().parents[3]
FILE = re.compile(r"^`([\w./-]+)`:\n\n```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def files_of(page: Path) -> dict[str, str]:
    """The files that a page shows: blocks below a line that is but a name in backticks and a colon."""
    return dict(FILE.findall(page.read_text(encoding="utf-8")))


def install(page: Path, folder: Path) -> dict[str, str]:
    """Write the page's files and install them as a package, into a folder of their own.

    Args:
        page: Below ``docs``.
        folder: An empty one.

    Returns:
        The environment in which the package is installed.
    """
    source, target = folder / "source", folder / "site-packages"
    for name, content in files_of(ROOT / "docs" / page).items():
        file = source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, capture_output=True)
    path = os.pathsep.join(filter(None, [str(target), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def run_command(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    """``nnunet_hetero ...`` in that environment."""
    return run_warm(["nnunet_hetero", *arguments], environment)


_MARK = "---- the next command"
_SESSION = f"""
import json, sys
from nnunet_hetero.cli.main import main
for arguments in json.loads(sys.argv.pop()):
    print({_MARK!r}, flush=True)
    code = main(arguments)
    if code:
        sys.exit(f"{{arguments}} ended with {{code}}")
"""


def session(environment: dict[str, str], *commands: Sequence[object]) -> str:
    """Commands one after the other in one process of that environment, which imports torch once.

    Returns:
        What the last one printed.
    """
    words = [[str(word) for word in command] for command in commands]
    done = run_warm([sys.executable, "-c", _SESSION, json.dumps(words)], environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.rpartition(_MARK)[2]
