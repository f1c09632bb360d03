"""Activation: one start-up file in this environment's site-packages, and its removal.

Python runs the file at each start, in every shell and every worker process, however nnU-Net was installed. Nothing of
nnU-Net's is changed on disk. A start-up file is a ``.pth`` with one import line; Python 3.15 and later prefer a
``.start`` file that names a function (PEP 829) and then ignore the import line of the ``.pth`` of the same name.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
from pathlib import Path

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.atomic_files import replace_text

NAME = "nnunet_hetero_activation"
GUARD = f"_{NAME}"

_ABOUT = "# Written by 'nnunet_hetero activate'. Undo: 'nnunet_hetero deactivate', or delete this file."

# If the package is uninstalled and this file stays, Python must start as if the file were not there.
_GUARDED = """\
try:
    from nnunet_hetero.integration.startup import start
except ModuleNotFoundError:
    pass
else:
    start()
"""


def site_packages() -> Path:
    """The folder of this environment in which Python looks for start-up files."""
    return Path(sysconfig.get_path("purelib"))


def startup_files(python: tuple[int, ...] = sys.version_info[:2]) -> dict[str, str]:
    """Names and texts of the files that activation writes.

    Args:
        python: Version of the interpreter that reads them.
    """
    files = {f"{NAME}.pth": f"{_ABOUT}\nimport sys; exec({_GUARDED!r})\n"}
    if python >= (3, 15):
        # A .start file names a function and prints a traceback when it is gone, hence a module that stays.
        body = "\n".join(f"    {line}" for line in _GUARDED.splitlines())
        files[f"{NAME}.start"] = f"{_ABOUT}\n{GUARD}:run\n"
        files[f"{GUARD}.py"] = f"{_ABOUT}\n\n\ndef run():\n{body}\n"
    return files


def refuse_unsuitable(folder: Path) -> None:
    """Refuse an environment that is not ours to write to.

    Raises:
        SettingsError: If the environment belongs to the operating system, or the folder cannot be written to.
    """
    instead = (
        "Activate in a virtual environment (python3 -m venv, conda), or do without activation: "
        "'nnunet_hetero train' and 'nnunet_hetero predict' need none, and 'nnunet_hetero env' prints the line that "
        "lets nnUNetv2_train find our trainers."
    )
    in_virtual_environment = sys.prefix != sys.base_prefix
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    if not in_virtual_environment and marker.exists():
        raise SettingsError(f"This Python ({sys.prefix}) is managed by the operating system, see {marker}. {instead}")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise SettingsError(f"{folder} cannot be written to. {instead}")


def activate(folder: Path | None = None) -> list[Path]:
    """Write the start-up file.

    Args:
        folder: Where to; None is this environment's site-packages.

    Returns:
        The files that were written; empty if all were there already.

    Raises:
        SettingsError: If the environment is not ours to write to.
    """
    folder = folder or site_packages()
    refuse_unsuitable(folder)
    written = []
    # The guard module goes first: the files that name it must never find it missing.
    for name, text in reversed(startup_files().items()):
        path = folder / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        replace_text(path, text)  # Python skips the hidden draft, so it never reads half a line
        written.append(path)
    return written


def deactivate(folder: Path | None = None) -> list[Path]:
    """Remove all that `activate` wrote, under any version of Python.

    Args:
        folder: Where from; None is this environment's site-packages.

    Returns:
        The files that were removed; empty if there were none.

    Raises:
        SettingsError: If there is something to remove and the folder cannot be written to.
    """
    found = activation_files(folder)
    if found and not os.access(found[0].parent, os.W_OK):
        raise SettingsError(f"{found[0].parent} cannot be written to. Ask its owner to delete {found[0].name} there.")
    for path in found:
        path.unlink()
    for cache in {path.parent for path in found if path.suffix == ".pyc"}:
        with contextlib.suppress(OSError):  # other modules' compiled forms are in it
            cache.rmdir()
    return found


def activation_files(folder: Path | None = None) -> list[Path]:
    """All files of an activation that are there, the guard's compiled forms included."""
    folder = folder or site_packages()
    named = [folder / f"{NAME}.start", folder / f"{NAME}.pth", folder / f"{GUARD}.py"]
    return [path for path in named if path.is_file()] + sorted((folder / "__pycache__").glob(f"{GUARD}.*.pyc"))
