"""Augmentation that leaves absent modalities absent, and can be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA


class KeepAbsentZero(BasicTransform):
    """Apply a transform, then set the channels that were identically zero before it to zero again.

    nnU-Net's intensity transforms add noise to, or shift, a channel of zeros, and thereby wake an absent modality up.

    Args:
        transform: The transform to apply, on ``image`` of shape ``(M, *spatial)``.
    """

    def __init__(self, transform: BasicTransform):
        super().__init__()
        self.transform = transform

    def __call__(self, **data_dict: Any) -> dict:
        present = (data_dict["image"] != 0).flatten(1).any(dim=1)
        data_dict = self.transform(**data_dict)
        # Channels that a transform appends (a cascade's previous stage) are no modalities.
        absent = (~present).nonzero().flatten()
        data_dict["image"][absent] = 0
        return data_dict


def repeatable(transform: BasicTransform) -> BasicTransform:
    """The transform, such that it gives the same for the same random numbers if it runs in the training's own process.

    nnU-Net's blur times two ways to blur and takes the faster one, so that results differ in the last bit from run to
    run. With background processes, batches come in no fixed order anyway, and it may go on doing that.
    """
    if get_allowed_n_proc_DA() == 0:
        for part in _parts(transform):
            if isinstance(part, GaussianBlurTransform):
                part.benchmark = False
    return transform


def _parts(transform: BasicTransform) -> Iterator[BasicTransform]:
    yield transform
    inner = [transform.transform] if isinstance(transform, RandomTransform) else []
    if isinstance(transform, ComposeTransforms):
        inner = list(transform.transforms)
    for part in inner:
        yield from _parts(part)
