"""Checkpoints of unknown origin: they are pickles, and loading a pickle can run any code.

Ours hold tensors, plain Python values and numpy numbers. Nothing else is loaded unless the user says that he trusts the
file. A model's ``plans.json`` names classes to build the network from; those are held to the same rule.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import pydoc
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from nnunet_hetero.errors import SettingsError

TRUST_FLAG = "--trust_checkpoint"
NUMBERS = "biufc"  # numpy's kinds: bool, int, unsigned int, float, complex
NETWORK_PARTS = ("torch.nn.", "dynamic_network_architectures.")


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
            f"{file} is damaged, or no checkpoint as torch has written them since version 1.6. Copy it again, or "
            "choose another one with -chk."
        )
    try:
        with contextlib.nullcontext() if trusted else torch.serialization.safe_globals(_allowed()):
            checkpoint = torch.load(file, map_location="cpu", weights_only=not trusted, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise _refusal(file, error) from error
    except (RuntimeError, EOFError, OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise SettingsError(
            f"The checkpoint {file} cannot be loaded, it is damaged or no checkpoint: {_first_line(error)} Copy it "
            "again, or choose another one with -chk."
        ) from error
    if not isinstance(checkpoint, Mapping):
        raise SettingsError(f"{file} holds a {type(checkpoint).__name__}, not a checkpoint of nnU-Net. Check -chk.")
    return checkpoint


def require_plain_plans(plans: Mapping, file: str | os.PathLike) -> None:
    """Refuse plans that would build the network from anything but layers.

    Args:
        plans: Content of ``plans.json``.
        file: Where it lies, for the error.

    Raises:
        SettingsError: If a name in the architecture is none of torch's or of dynamic_network_architectures'.
    """
    for name, configuration in plans.get("configurations", {}).items():
        architecture = configuration.get("architecture", {})
        for key in architecture.get("_kw_requires_import", ()):
            wanted = architecture.get("arch_kwargs", {}).get(key)
            if wanted is not None and not _is_layer(wanted):
                raise SettingsError(
                    f"{file} names '{wanted}' as {key} of the configuration {name}, which is no layer of a network. "
                    f"Get the model again from its source; if you trust whoever made it, add {TRUST_FLAG}."
                )


def _is_layer(name: str) -> bool:
    if not name.startswith(NETWORK_PARTS):
        return False
    found = pydoc.locate(name)
    # A path such as torch.nn.x.os.system leads out of torch again.
    return isinstance(found, type) and issubclass(found, nn.Module)


def _allowed() -> list:
    """What a checkpoint may name besides torch's own list: numpy's numbers and arrays of them."""
    functions = {"scalar": _number, "_reconstruct": _empty_array}
    named = [
        (function, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")  # before and since numpy 2
        for name, function in functions.items()
    ]
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
