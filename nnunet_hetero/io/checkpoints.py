"""Checkpoints of unknown origin: they are pickles, and loading a pickle can run any code.

Ours hold tensors, plain Python values and numpy numbers. Nothing else is loaded unless the user says that he trusts the
file, by `TRUST_FLAG`, or by `TRUST_VARIABLE` where no flag of ours reaches.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from nnunet_hetero.errors import SettingsError

TRUST_FLAG = "--trust_checkpoint"
TRUST_VARIABLE = "NNUNET_HETERO_TRUST_CHECKPOINT"
"""Environment variable; with 1 all that a training loads is trusted, in all of its processes."""

NUMBERS = "biufc"  # numpy's kinds: bool, int, unsigned int, float, complex


_ANOTHER = (
    "Copy it again, or choose another one with -chk. A training without it goes on from another checkpoint of its "
    "fold, or begins anew: move it away for that."
)


def load_checkpoint(file: str | os.PathLike, *, trusted: bool = False, mmap: bool = False) -> dict[str, Any]:
    """Load a checkpoint of nnU-Net's format to the CPU, without running code that it may bring along.

    Args:
        file: The checkpoint.
        trusted: Whether the user vouches for the file; then anything in it is loaded.
        mmap: Whether to leave the tensors on disk until they are used.

    Raises:
        SettingsError: If the file wants more than a checkpoint needs, is damaged, or is no checkpoint of nnU-Net.
    """
    if not trusted and not zipfile.is_zipfile(file):
        raise SettingsError(
            f"{file} is damaged, or no checkpoint as torch has written them since version 1.6. {_ANOTHER}"
        )
    try:
        with contextlib.nullcontext() if trusted else torch.serialization.safe_globals(_allowed()):
            checkpoint = torch.load(file, map_location="cpu", weights_only=not trusted, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise _refusal(file, error) from error
    except (RuntimeError, EOFError, OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise SettingsError(
            f"The checkpoint {file} cannot be loaded, it is damaged or no checkpoint: {_first_line(error)} {_ANOTHER}"
        ) from error
    if not isinstance(checkpoint, Mapping):
        raise SettingsError(f"{file} holds a {type(checkpoint).__name__}, not a checkpoint of nnU-Net. Check -chk.")
    return dict(checkpoint)


def trusted_by_environment() -> bool:
    """Whether the user vouches for what this training loads, see `TRUST_VARIABLE`."""
    return os.environ.get(TRUST_VARIABLE) == "1"


def _allowed() -> list:
    """What a checkpoint may name besides torch's own list: numpy's numbers and arrays of them."""
    functions = {"scalar": _number, "_reconstruct": _empty_array}
    named = []
    for core in ("core", "_core"):  # before and since numpy 2
        named += [(function, f"numpy.{core}.multiarray.{name}") for name, function in functions.items()]
    dtypes = {type(np.dtype(code)) for code in (np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?")}
    return [*named, np.ndarray, np.dtype, *dtypes]


def _number(dtype: np.dtype, data: bytes) -> np.generic:
    if dtype.kind not in NUMBERS:
        raise pickle.UnpicklingError(f"a numpy scalar of type {dtype}")
    return np.frombuffer(data, dtype, count=1)[0]


def _empty_array(array_type: type, shape: tuple, code: bytes) -> np.ndarray:
    # numpy fills it afterwards, by __setstate__.
    if array_type is not np.ndarray:
        raise pickle.UnpicklingError(f"an array of type {array_type.__name__}")
    return np.ndarray(shape, np.uint8)


def _refusal(file: str | os.PathLike, error: pickle.UnpicklingError) -> SettingsError:
    wanted = "something that is no part of a model"
    with contextlib.suppress(Exception):  # the list is a help, the refusal stands without it
        names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
        known = {entry[1] for entry in _allowed() if isinstance(entry, tuple)}
        known |= {f"{entry.__module__}.{entry.__qualname__}" for entry in _allowed() if isinstance(entry, type)}
        wanted = ", ".join(sorted(set(names) - known)) or wanted
    return SettingsError(
        f"The checkpoint {file} wants to load {wanted}. A model needs no such thing, and loading it could run any "
        "code, so it is refused. Get the model again from its source; if you trust whoever made this file, add "
        f"{TRUST_FLAG}."
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".") + "."
