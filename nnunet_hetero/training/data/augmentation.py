"""Augmentation that leaves absent modalities absent."""

from __future__ import annotations

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform


class KeepAbsentZero(BasicTransform):
    """Apply a transform, then set the channels that were identically zero before it to zero again.

    nnU-Net's intensity transforms add noise to, or shift, a channel of zeros, and thereby wake an absent modality up.

    Args:
        transform: The transform to apply, on ``image`` of shape ``(M, *spatial)``.
    """

    def __init__(self, transform: BasicTransform):
        super().__init__()
        self.transform = transform

    def __call__(self, **data_dict) -> dict:
        present = (data_dict["image"] != 0).flatten(1).any(dim=1)
        data_dict = self.transform(**data_dict)
        # Channels that a transform appends (a cascade's previous stage) are no modalities.
        absent = (~present).nonzero().flatten()
        data_dict["image"][absent] = 0
        return data_dict
