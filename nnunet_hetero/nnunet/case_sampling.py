"""Cases sampled with given probabilities by nnU-Net's trainer.

nnU-Net's data loader can do that, its trainer has no place to say the probabilities.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet


@contextlib.contextmanager
def probabilities_of_datasets() -> Iterator[None]:
    """Let the loaders that nnU-Net's trainer makes meanwhile sample cases as their dataset asks for.

    A dataset asks by an attribute ``sampling_probabilities``: one per identifier, in that order, summing to 1. Without
    it, or with None, its cases are sampled uniformly.
    """
    original = nnunet.nnUNetDataLoader

    def loader(data: nnUNetBaseDataset, *arguments, **keywords):
        return original(
            data,
            *arguments,
            **{**keywords, "sampling_probabilities": getattr(data, "sampling_probabilities", None)},
        )

    nnunet.nnUNetDataLoader = loader
    try:
        yield
    finally:
        nnunet.nnUNetDataLoader = original
