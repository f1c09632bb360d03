"""Whether a release installs and works: sdist and wheel, their descriptions, and the main job on every Python there is.

Usage: python tools/release_check.py [--python 3.10 3.12 ...] [--lowest 3.10] [--keep FOLDER]. Every environment is new
and empty, and takes several GB while it is there; by default those of all Pythons of `PYTHONS` that this machine has.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
NEEDED = (
    "nnunet_hetero/py.typed",
    "nnunet_hetero/integration/trainer_folder/nnunet_hetero_trainers.py",
    "nnunet_hetero/dataset_conversion/brats.py",
    "nnunet_hetero/evaluation/report/templates/",
    "nnunet_hetero/evaluation/compare/published/",
    "nnunet_hetero/viewer/templates/layers.js",
)
"""Files and folders that a wheel without them would miss only when somebody uses them."""


def run(*command: str | Path, check: bool = True) -> int:
    """Run a command, shown as typed; returns its exit code."""
    print("$", *command, flush=True)
    return subprocess.run([str(word) for word in command], check=check, cwd=ROOT).returncode


def build(folder: Path) -> Path:
    """Build and check sdist and wheel.

    Returns:
        The wheel.

    Raises:
        SystemExit: If the wheel lacks a file.
    """
    run(sys.executable, "-m", "build", "--outdir", folder)
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted(folder.iterdir()))
    (wheel,) = folder.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    lacking = [needed for needed in NEEDED if not any(name.startswith(needed) for name in names)]
    if lacking:
        raise SystemExit(f"{wheel.name} lacks {', '.join(lacking)}: see package_data in setup.py.")
    return wheel


def works(wheel: Path, python: str, resolution: str, environment: Path) -> bool:
    """Whether the wheel installs into an empty environment and does the main job there.

    Args:
        wheel: The file.
        python: An interpreter.
        resolution: ``highest``, or ``lowest-direct``: the oldest versions that setup.py allows.
        environment: Its folder; it is removed at the end.
    """
    uv = Path(sys.executable).with_name("uv")
    try:
        run(uv, "venv", "--quiet", "--python", python, environment)
        interpreter = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        run(uv, "pip", "install", "--quiet", "--python", interpreter, "--resolution", resolution, wheel)
        run(uv, "pip", "check", "--python", interpreter)
        run(interpreter, ROOT / "tools" / "smoke.py")
    except subprocess.CalledProcessError as error:
        print(f"failed: {error}", flush=True)
        return False
    finally:
        shutil.rmtree(environment, ignore_errors=True)
    return True


def interpreter_of(python: str) -> str | None:
    """The interpreter of a version, e.g. ``3.12``, from the path or from pyenv; None if this machine has none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    installed = [str(version / "bin" / "python") for version in sorted(pyenv.glob(f"{python}.*"), reverse=True)]
    for candidate in (shutil.which(f"python{python}"), *installed):
        # pyenv's stand-ins on the path exist, and fail, for versions that are not switched on.
        if candidate and subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def main() -> int:
    """Build, install, run; a line for each environment at the end. Exit code 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", nargs="*", default=PYTHONS, help="With the newest dependencies (all there are).")
    parser.add_argument("--lowest", nargs="*", default=("3.10",), help="With the oldest allowed dependencies (3.10).")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="Where sdist and wheel are kept.")
    arguments = parser.parse_args()
    wanted = [(python, "highest") for python in arguments.python]
    wanted += [(python, "lowest-direct") for python in arguments.lowest]
    with tempfile.TemporaryDirectory() as temporary:
        dist = arguments.keep or Path(temporary, "dist")
        shutil.rmtree(dist, ignore_errors=True)
        wheel = build(dist)
        lines = []
        failed = False
        for python, resolution in wanted:
            outcome = "not on this machine"
            interpreter = interpreter_of(python)
            if interpreter:
                ok = works(wheel, interpreter, resolution, Path(temporary, f"{python}-{resolution}"))
                outcome = "works" if ok else "FAILED"
                failed |= not ok
            lines.append(f"Python {python:<5} {resolution:<14} {outcome}")
    print("\n".join(lines))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
