"""Absent modalities stay absent on their way to the network."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from helpers.tiny_model import CONFIGURATION, SHAPE, tiny_dataset_json, tiny_plans
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer

ABSENT, PRESENT = [1, 3], [0, 2]
DRAWS = 120

PATCHES = {
    "3d": {"patch_size": (10, 12, 8), "mirror_axes": (0, 1, 2), "rotation_for_DA": (-0.5, 0.5)},
    "3d, planes apart": {
        "patch_size": (4, 12, 16),
        "mirror_axes": (0, 1, 2),
        "rotation_for_DA": (-3.1, 3.1),
        "do_dummy_2d_data_aug": True,
    },
    "2d, regions": {
        "patch_size": (16, 12),
        "mirror_axes": (0, 1),
        "rotation_for_DA": (-0.2, 0.2),
        "regions": [(1, 2), 2],
        "deep_supervision_scales": [[1, 1], [0.5, 0.5]],
    },
}


def augmented(trainer, patch: dict, seed: int, use_mask: bool = True) -> dict:
    """One draw of a trainer's augmentation, of a patch that has the modalities `PRESENT` only."""
    arguments = {"deep_supervision_scales": None, "do_dummy_2d_data_aug": False, **patch}
    transforms = trainer.get_training_transforms(**arguments, use_mask_for_norm=[use_mask] * 4)
    shape = [size + 4 for size in patch["patch_size"]]
    if arguments["do_dummy_2d_data_aug"]:
        shape[0] -= 4
    generator = torch.Generator().manual_seed(7)
    image = torch.randn(4, *shape, generator=generator) + 1
    image[ABSENT] = 0
    segmentation = torch.randint(0, 3, (1, *shape), generator=generator, dtype=torch.int16)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return transforms(image=image, segmentation=segmentation)


def woken(trainer, patch: dict, use_mask: bool) -> int:
    """In how many draws an absent modality is not zero."""
    return sum(bool(augmented(trainer, patch, seed, use_mask)["image"][ABSENT].any()) for seed in range(DRAWS))


@pytest.fixture
def one_kind_of_blur(monkeypatch):
    """nnU-Net times two ways to blur and takes the faster, so that results differ in the last bit from run to run."""
    monkeypatch.setattr(
        "nnunetv2.training.nnUNetTrainer.nnUNetTrainer.GaussianBlurTransform",
        lambda **arguments: GaussianBlurTransform(**{**arguments, "benchmark": False}),
    )


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
class TestAugmentation:
    @pytest.mark.parametrize("use_mask", [True, False])
    def test_absent_stays_zero(self, patch, use_mask):
        assert woken(HeteroModalVAETrainer, patch, use_mask) == 0

    def test_nnunets_own_wakes_it_up(self, patch):
        assert woken(nnUNetTrainer, patch, True) > 5

    def test_the_present_are_augmented_as_in_nnunet(self, patch, one_kind_of_blur):
        changed = 0
        for seed in range(20):
            ours, theirs = (augmented(trainer, patch, seed) for trainer in (HeteroModalVAETrainer, nnUNetTrainer))
            assert torch.equal(ours["image"][PRESENT], theirs["image"][PRESENT])
            for one, other in zip(ours["segmentation"], theirs["segmentation"], strict=True):
                assert torch.equal(one, other)
            changed += not torch.equal(ours["image"], augmented(nnUNetTrainer, patch, seed + 1)["image"])
        assert changed > 10


class TestPreprocessing:
    def preprocessed(self, scheme: str) -> np.ndarray:
        """nnU-Net's preprocessing of a case without `ABSENT`, cropped, normalised and resampled."""
        data = np.random.default_rng(0).normal(5, 1, (4, *SHAPE)).astype(np.float32)
        data[ABSENT] = 0
        data[:, :3] = 0
        properties = {"spacing": [1.5, 1.0, 0.8]}
        plans = PlansManager(tiny_plans(scheme=scheme))
        configuration = plans.get_configuration(CONFIGURATION)
        return DefaultPreprocessor(verbose=False).run_case_npy(
            data, None, properties, plans, configuration, tiny_dataset_json()
        )[0]

    @pytest.mark.parametrize("scheme", ["ZScoreNormalization", "RescaleTo01Normalization", "NoNormalization"])
    def test_absent_stays_zero(self, scheme):
        data = self.preprocessed(scheme)
        assert data.shape[1:] != SHAPE
        assert not data[ABSENT].any()
        assert all(data[channel].any() for channel in PRESENT)

    def test_ct_scheme_wakes_it_up(self):
        """Why prediction, and whoever trains on CT, must zero absent channels after preprocessing."""
        assert self.preprocessed("CTNormalization")[ABSENT].any()
