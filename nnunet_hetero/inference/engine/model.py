"""A model that is ready to predict: what all that predicts, writes or scores is handed, and nothing may change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from torch import Tensor
from torch._dynamo import OptimizedModule
from torch.nn.parallel import DistributedDataParallel

from nnunet_hetero.cases.intensity_scale import IntensityScale, Moments, intensity_scales
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.engine.case_result import Demands, SamplingOptions
from nnunet_hetero.modalities import Modalities, Subset
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.nnunet.regions import Region, regions_of
from nnunet_hetero.reliability.intervals import CalibrationInUse

Weights = dict[str, Tensor]
"""Of a network, by the parameters' names."""


@dataclass(frozen=True)
class Tiles:
    """How nnU-Net's sliding window goes over a case.

    Args:
        step: From one tile to the next, in tiles.
        gaussian: Whether a tile counts more in its middle.
        mirroring_axes: Spatial axes along which each tile is mirrored besides; None mirrors none.
        told: Whether to print how many there are.
    """

    step: float = 0.5
    gaussian: bool = True
    mirroring_axes: tuple[int, ...] | None = None
    told: bool = False


@dataclass(frozen=True)
class LoadedModel:
    """A trained model, and how it is to predict.

    Args:
        network: Takes the weights of one fold after the other.
        parameters: Weights of each fold.
        preparation: How cases become its input.
        kept: Channels that the user leaves on.
        sampling: Draws of the latents, none for a network that has none, and what to keep besides the segmentation.
        tiles: The sliding window.
        device: Where the network computes.
        results_on_device: Whether results are added up there too, if they fit.
        progress: Whether to show progress bars.
        intensity: Mean and standard deviation of the training images by modality; None if they are not known.
        calibration: Makes intervals of volumes, and calibrated probabilities; None if there is none.
        uncalibrated: Why there is none, a sentence.
        demands: What a prediction has to come up to.
    """

    network: HeteroNetwork
    parameters: tuple[Weights, ...]
    preparation: Preparation
    kept: Subset
    sampling: SamplingOptions
    tiles: Tiles
    device: torch.device
    results_on_device: bool = True
    progress: bool = False
    intensity: Moments | None = None
    calibration: CalibrationInUse | None = None
    uncalibrated: str = ""
    demands: Demands = field(default_factory=Demands)

    @property
    def modalities(self) -> Modalities:
        """Those of the dataset."""
        return self.preparation.modalities

    @property
    def orientation(self) -> str | None:
        """Of the training images, such as ``RAS``, see `nnunet_hetero.cases.orientation`: every case is brought to it,
        and what is made of it back. None for a model of pictures, and for one of an earlier version."""
        return self.preparation.orientation

    @property
    def measures_regions(self) -> bool:
        """Whether it says how large each region is, and how sure it is: with draws, and without if it is calibrated."""
        return self.sampling.num_samples > 0 or self.calibration is not None

    @property
    def label_manager(self) -> LabelManager:
        """nnU-Net's, of the dataset."""
        return self.preparation.label_manager

    @property
    def regions(self) -> dict[str, Region]:
        """What it segments, by name."""
        return regions_of(self.label_manager)

    @property
    def patch_size(self) -> tuple[int, ...]:
        """Shape of a tile; a 2D model has two axes."""
        return tuple(self.preparation.configuration_manager.patch_size)

    @property
    def scales(self) -> tuple[IntensityScale, ...]:
        """How completed images get the intensities of real ones, one per modality."""
        return intensity_scales(
            self.preparation.configuration_manager.normalization_schemes,
            self.modalities,
            self.preparation.plans_manager.foreground_intensity_properties_per_channel,
            self.intensity,
        )

    def to_segmentation(self, logits: Tensor | np.ndarray, properties: dict, return_probabilities: bool = False) -> Any:
        """Label map on the grid that the case was read on, with probabilities on demand.

        That is the case's own, in the model's orientation; see `nnunet_hetero.cases.oriented_reader.as_stored`.

        Args:
            logits: ``(K, *spatial)``, those of a `CasePrediction`.
            properties: Those of the preprocessed case.
            return_probabilities: Whether to return ``(label map, probabilities)``.
        """
        return convert_predicted_logits_to_segmentation_with_correct_shape(
            logits,
            self.preparation.plans_manager,
            self.preparation.configuration_manager,
            self.label_manager,
            properties,
            return_probabilities,
        )


def unwrapped(network: torch.nn.Module) -> HeteroNetwork:
    """The network without what distributed training and torch.compile wrap it in.

    Raises:
        SettingsError: If it is none that can handle missing modalities.
    """
    if isinstance(network, DistributedDataParallel):
        network = network.module
    if isinstance(network, OptimizedModule):
        network = network._orig_mod
    if not isinstance(network, HeteroNetwork):
        raise SettingsError(
            f"The network is a {type(network).__name__}, which cannot handle missing modalities; it must be built on "
            "nnunet_hetero's HeteroNetwork. Choose a model of a hetero-modal trainer."
        )
    return network
