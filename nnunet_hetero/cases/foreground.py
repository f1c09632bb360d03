"""Where a case has something to see, kept from reading to writing: the background of its completed images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FOREGROUND = "nnunet_hetero_foreground"
"""Key of `packed_foreground` in the properties of a preprocessed case."""


def packed_foreground(images: np.ndarray) -> np.ndarray:
    """Where at least one image is not zero, eight voxels to a byte.

    Args:
        images: Those that the case is segmented from, ``(C, *spatial)``, on the case's own grid.
    """
    return np.packbits((images != 0).any(axis=0))


def unpacked_foreground(properties: dict, shape: Sequence[int]) -> np.ndarray:
    """What `packed_foreground` was made from, a bool array of ``shape``."""
    return np.unpackbits(properties[FOREGROUND], count=int(np.prod(shape))).reshape(shape).astype(bool)
