"""UHVEDPaperTrainer: the network and the training of the paper, unchanged, for comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from torch import Tensor

from nnunet_hetero.config import LEVELS
from nnunet_hetero.network.uhved_paper import PaperUHVED
from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer

ROTATION = 10 * np.pi / 180


class UHVEDPaperTrainer(HeteroModalVAETrainer):
    """Trains `PaperUHVED` as in Dorent et al., MICCAI 2019, section 4.

    Adam with an L2 penalty of 1e-5, a learning rate of 1e-3 that is divided by 4 every 10 000 steps, one patch of 112³
    voxels per step, 60 000 steps, an end before that on a plateau, histograms standardised; flips and rotations of up
    to 10°. All but the last are settings that the plans may overrule; ``"plan"`` is nnU-Net's own patch or batch.

    Not of the paper: the segmentation loss is nnU-Net's (Dice and cross entropy too, region-based where the dataset
    is), with its clipping of gradients and its validation. What a plateau is, the paper does not say: 50 epochs here.
    """

    network_class = PaperUHVED
    any_patch_size = True
    deeply_supervised = False
    scores_foreground = False

    @classmethod
    def default_settings(cls) -> dict[str, Any]:
        """Those of the paper."""
        return {
            "patch_size": 112,
            "batch_size": 1,
            "num_epochs": 240,
            "num_iterations_per_epoch": 250,
            "optimizer": "Adam",
            "initial_lr": 1e-3,
            "lr_schedule": "step",
            "lr_step_iterations": 10_000,
            "lr_step_divisor": 4,
            "weight_decay": 1e-5,
            "early_stopping_epochs": 50,
            "histogram_standardisation": True,
            "kl_weight": 0.1,
            "kl_average": LEVELS,
        }

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, ...]:
        """See nnU-Net; rotations of up to 10° about every axis, no scaling."""
        rotation = (-ROTATION, ROTATION)
        mirror_axes = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()[3]
        initial = get_patch_size(self.configuration_manager.patch_size, rotation, rotation, rotation, (1, 1))
        return rotation, False, initial, mirror_axes

    @staticmethod
    def get_training_transforms(
        patch_size: Any,
        rotation_for_DA: Any,
        deep_supervision_scales: Any,
        mirror_axes: Any,
        do_dummy_2d_data_aug: bool,
        use_mask_for_norm: Any = None,
        is_cascaded: bool = False,
        foreground_labels: Any = None,
        regions: Any = None,
        ignore_label: int | None = None,
    ) -> BasicTransform:
        """Rotations and flips; what nnU-Net does to the labels comes after them. See nnU-Net for the arguments."""
        labels = HeteroModalVAETrainer.get_validation_transforms(
            deep_supervision_scales, is_cascaded, foreground_labels, regions, ignore_label
        )
        rotate = SpatialTransform(
            patch_size,
            patch_center_dist_from_border=0,
            random_crop=False,
            p_rotation=1,
            rotation=rotation_for_DA,
            border_mode_seg="constant",
            padding_value_seg=-1,
        )
        return ComposeTransforms([rotate, MirrorTransform(mirror_axes), *labels.transforms])

    def losses(
        self, data: Tensor, target: Tensor | list[Tensor], present: Tensor, drawn: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `HeteroModalVAETrainer`; the weighted sum itself is optimised."""
        _, terms = super().losses(data, target, present, drawn)
        return terms["total"], terms
