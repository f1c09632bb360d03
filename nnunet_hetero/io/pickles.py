"""Pickles of nnU-Net's that a library loads for us: looked at before, since loading one can run any code.

What nnU-Net keeps of a preprocessed case are numbers, texts and arrays of numpy in lists and dictionaries.
"""

from __future__ import annotations

import os
import pickle
from typing import Any

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.checkpoints import TRUST_FLAG, TRUST_VARIABLE

ALLOWED = {
    ("collections", "OrderedDict"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # of bytes, by the oldest protocols
}
for _core in ("numpy.core", "numpy._core"):  # before and since numpy 2
    ALLOWED |= {(f"{_core}.multiarray", name) for name in ("_reconstruct", "scalar")}
    ALLOWED |= {(f"{_core}.numeric", "_frombuffer")}
"""All that such a pickle may name."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module, name)


def require_plain_pickle(file: str | os.PathLike, trusted: bool = False) -> None:
    """Refuse a pickle that holds anything but plain values and arrays.

    Args:
        file: The pickle; one that is not there is no danger.
        trusted: Whether the user vouches for it.

    Raises:
        SettingsError: If it wants more, or is damaged.
    """
    if trusted or not os.path.isfile(file):
        return
    try:
        with open(file, "rb") as stream:
            _PlainUnpickler(stream).load()
    except pickle.UnpicklingError as error:
        raise SettingsError(
            f"{file} wants to load {error}. What nnU-Net keeps of a preprocessed case needs no such thing, and loading "
            "it could run any code, so it is refused. Preprocess again (nnUNetv2_preprocess); if you trust whoever "
            f"made this file, train with {TRUST_FLAG} (or set the variable {TRUST_VARIABLE} to 1)."
        ) from error
    except (EOFError, OSError, ValueError, TypeError, LookupError, AttributeError, ImportError) as error:
        raise SettingsError(f"{file} is damaged ({error}). Preprocess again (nnUNetv2_preprocess).") from error
