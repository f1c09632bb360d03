"""The validation after training predicts as ``nnunet_hetero predict`` does with its default options.

So the scores in ``validation/summary.json``, and what ``nnUNetv2_find_best_configuration`` chooses by them, are those
of the predictions that follow: a case's modalities are settled by the case and not by each tile, and probabilities are
averaged over draws of the latents. Every case is predicted from all that it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.engine.model import LoadedModel, Tiles
from nnunet_hetero.inference.engine.subset_prediction import Target, predict_subsets
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.nnunet.protocols import TrainerOfFold
from nnunet_hetero.training.data.inputs import PreparedDatasets


class Validated(TrainerOfFold, Protocol):
    """A trainer of ours after training.

    Attributes:
        dataset_class: Its cases, prepared.
        device: Where it computes.
        inference_allowed_mirroring_axes: Spatial axes along which a tile may be mirrored; None for none.
    """

    dataset_class: PreparedDatasets
    device: torch.device
    inference_allowed_mirroring_axes: Sequence[int] | None

    @property
    def unwrapped_network(self) -> HeteroNetwork:
        """What it has trained."""
        ...


def model_of(trainer: Validated) -> LoadedModel:
    """The trainer's network, ready to predict cases that are prepared already.

    Args:
        trainer: Whose.
    """
    network, axes = trainer.unwrapped_network, trainer.inference_allowed_mirroring_axes
    return LoadedModel(
        network,
        (network.state_dict(),),
        Preparation(trainer.plans_manager, trainer.configuration_manager, trainer.dataset_json),
        network.required or tuple(range(network.num_modalities)),
        SamplingOptions() if network.stochastic else SamplingOptions(num_samples=0),
        Tiles(mirroring_axes=tuple(axes) if axes else None),
        trainer.device,
    )


def predict_loaded(trainer: Validated, data: Tensor) -> Tensor:
    """Logits ``(K, *spatial)`` of the case that nnU-Net's validation has just loaded; its name settles the draws.

    Args:
        trainer: Whose network and data sets.
        data: The case, ``(M, *spatial)``.
    """
    model = model_of(trainer)
    present = (data != 0).flatten(1).any(dim=1).tolist()
    subset = tuple(channel for channel in model.kept if present[channel])
    (found,) = predict_subsets(model, data, trainer.dataset_class.loaded, [Target(subset)], model.sampling)
    return torch.from_numpy(found.logits)
