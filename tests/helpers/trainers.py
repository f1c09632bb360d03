"""Small steps that tests of trainers share."""

from __future__ import annotations

import numpy as np
import torch

from helpers.tiny_network import random_images

SCALES = [[1, 1, 1], [0.5, 0.5, 0.5]]
"""Deep supervision of the tiny plans, three levels of which the lowest has no output."""


def initialised(trainer):
    """The trainer, with its network, optimiser and loss."""
    trainer.initialize()
    return trainer


def load(file) -> dict:
    """A checkpoint, whatever is in it."""
    return torch.load(file, weights_only=False)


def assert_same_state(one, other) -> None:
    """Equality of nested checkpoints, bit for bit; NaN equals NaN."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same_state(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same_state(*pair)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, (float, np.ndarray, np.generic)):
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


def random_labels(row: int) -> np.ndarray:
    """Labels 0 to 3 of a sample, ``(1, 16, 16, 16)``."""
    return np.random.default_rng(row).integers(0, 4, (1, 16, 16, 16), dtype=np.int16)


def batch_for(trainer, available) -> dict:
    """A batch as nnU-Net's loader gives it to the trainer, with random images and labels."""
    manager = trainer.label_manager
    transforms = trainer.get_validation_transforms(
        SCALES,
        regions=manager.foreground_regions if manager.has_regions else None,
        ignore_label=manager.ignore_label,
    )
    images = random_images(len(available), available.shape[1], (16, 16, 16)) * available[..., None, None, None]
    images[..., :5] = 0  # no brain there
    samples = [
        transforms(image=image, segmentation=torch.from_numpy(random_labels(row))) for row, image in enumerate(images)
    ]
    targets = [torch.stack([sample["segmentation"][level] for sample in samples]) for level in range(len(SCALES))]
    return {"data": torch.stack([sample["image"] for sample in samples]), "target": targets, "keys": ["a", "b"]}


def spy(network) -> list[torch.Tensor]:
    """What each sample is encoded from, ``(B, M)``, for every forward pass from now on."""
    seen = []

    def note(module, args, kwargs):
        seen.append(args[1].clone() if len(args) > 1 else module.availability(args[0]))

    network.register_forward_pre_hook(note, with_kwargs=True)
    return seen
