"""Fixtures of the training tests."""

from __future__ import annotations

import pytest
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform


@pytest.fixture
def one_kind_of_blur(monkeypatch):
    """nnU-Net times two ways to blur and takes the faster, so that results differ in the last bit from run to run."""
    monkeypatch.setattr(
        "nnunetv2.training.nnUNetTrainer.nnUNetTrainer.GaussianBlurTransform",
        lambda **arguments: GaussianBlurTransform(**{**arguments, "benchmark": False}),
    )
