"""What reads and writes DICOM is an extra; a clear word where it is not installed."""

from __future__ import annotations

import importlib
from types import ModuleType

from nnunet_hetero.errors import SettingsError

COMMAND = "pip install 'nnunet-hetero[dicom]'"


def require(module: str, purpose: str) -> ModuleType:
    """Import a package of the extra ``[dicom]``.

    Args:
        module: ``pydicom``, ``dcm2niix`` or ``highdicom``, or a module of them.
        purpose: What needs it, the start of the error's sentence.

    Raises:
        SettingsError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SettingsError(f"{purpose} needs {module.partition('.')[0]} ({error}). Install it: {COMMAND}.") from error
