"""What every network of ours has in common: channels that may be absent."""

from __future__ import annotations

import re

from torch import Tensor, nn

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Subset


class HeteroNetwork(nn.Module):
    """A network that segments from any subset of M modalities: ``forward(x, available=None)``.

    Args:
        num_modalities: M, the number of input channels.

    Attributes:
        stochastic: Whether the network has latents, which can be drawn.
        required: The only modalities that the network uses, and all of which it needs; None if it takes any subset.
        segmentation_output: Names of the weights that belong to the labels of a dataset.
    """

    stochastic = False
    required: Subset | None = None
    segmentation_output = re.compile(r".*\.seg_layers\..*")

    def __init__(self, num_modalities: int):
        super().__init__()
        self.num_modalities = num_modalities
        # Set by the trainer, which knows them.
        self.modality_names: tuple[str, ...] = ()
        # Set by the trainer if training is distributed: DDP waits for a gradient of every parameter.
        self.touch_absent_encoders = False

    def availability(self, x: Tensor) -> Tensor:
        """Which modalities each sample has, ``(B, M)`` bool: those whose channel is not identically zero."""
        return (x != 0).flatten(2).any(dim=2)

    def compile_parts(self, **kwargs) -> None:
        """torch.compile what does not depend on the subset, in place."""
        raise NotImplementedError

    def require_channels(self, x: Tensor) -> None:
        """Refuse images that are not the modalities of this model.

        Raises:
            SettingsError: If x has another number of channels than the model has modalities.
        """
        if x.shape[1] != self.num_modalities:
            raise SettingsError(
                f"The input has {x.shape[1]} channel(s), this model was built for {self.num_modalities} modalities. "
                "Give every modality its channel, in the order of dataset.json; an absent one is a channel of zeros."
            )
