"""Run the steps of the Dockerfile in a folder with a Debian in it, where no container engine runs.

Usage, as root: debootstrap --include=python3-venv,ca-certificates bookworm ROOT; python tools/container_steps.py ROOT.
COPY, RUN, ENV, USER and ENTRYPOINT with CMD are done as an engine does them; FROM is the folder, with its own Python.
Environment variables named PIP_* of the caller are handed on, so that a mirror is found.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1]
DOCKERFILE = SOURCES / "containers" / "Dockerfile"


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


class Container:
    """What an engine keeps between instructions.

    Args:
        root: The folder with the Debian.
    """

    def __init__(self, root: Path):
        self.root = root
        self.user = "0"
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        self.variables = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin", "LANG": "C.UTF-8", **pip}

    def run(self, *command: str) -> None:
        """Run a command in the folder, as the present user."""
        print("#", " ".join(command)[:200], flush=True)
        whole = ["chroot", f"--userspec={self.user}", str(self.root), *command]
        subprocess.run(whole, check=True, env=self.variables)

    def set_variables(self, text: str) -> None:
        """ENV: ``NAME=VALUE ...``, values may use variables that are set already."""
        before = dict(self.variables)
        for name, value in re.findall(r"(\w+)=(\S+)", text):
            self.variables[name] = re.sub(r"\$(\w+)", lambda match: before.get(match[1], ""), value)

    def copy(self, text: str) -> None:
        """COPY of the whole context."""
        assert text.split() == [".", "/src"], f"COPY {text} is not known here"
        ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", "build", "dist", "*_output", "*.egg-info")
        shutil.rmtree(self.root / "src", ignore_errors=True)
        shutil.copytree(SOURCES, self.root / "src", ignore=ignored)


def main() -> None:
    """All instructions, then the entry point with its default command."""
    container = Container(Path(sys.argv[1]).absolute())
    python = container.root / "usr" / "local" / "bin" / "python"
    if not python.exists():
        python.symlink_to("/usr/bin/python3")
    entry: list[str] = []
    for instruction, text in instructions(DOCKERFILE.read_text(encoding="utf-8")):
        if instruction == "RUN":
            container.run("/bin/sh", "-ec", text)
        elif instruction == "ENV":
            container.set_variables(text)
        elif instruction == "USER":
            container.user = text
        elif instruction == "COPY":
            container.copy(text)
        elif instruction in ("ENTRYPOINT", "CMD"):
            entry += json.loads(text)
        elif instruction not in ("FROM", "ARG", "WORKDIR"):
            raise SystemExit(f"{instruction} is not known here")
    container.run("/usr/bin/env", *entry)


if __name__ == "__main__":
    main()
