"""The fusions that there are: what present modalities become at one level, ours and those of other packages.

Another package offers one by an entry point of the group ``nnunet_hetero.fusions``, a script by ``FUSIONS.register``.
The setting ``fusion`` chooses one by name: a `GaussianFusion` for networks with latents (`HeteroModalVAETrainer`), a
`FeatureFusion` for those without (`FeatureFusionTrainer`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from nnunet_hetero.config import FUSIONS_GROUP, KEY, OUR_FUSIONS, HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.fusing.moments import moments
from nnunet_hetero.network.fusing.rows import Rows
from nnunet_hetero.network.fusion import Expert, Gaussian, Product
from nnunet_hetero.registry import Registry


class Part(NamedTuple):
    """What one modality brings to a level, of those samples of a batch that have it.

    Attributes:
        channel: The modality.
        features: ``(n, C, *spatial)``; for a `GaussianFusion` ``(n, 2 * C, *spatial)``, μ_i and then log σ_i².
        samples: Which samples of the batch the n rows belong to, ``(n,)`` int64.
    """

    channel: int
    features: Tensor
    samples: Tensor


class Fusion(nn.Module, ABC):
    """How modalities become one at one level; every level has one of its own, which may have weights.

    A sample's result must depend on its own modalities only.

    Args:
        channels: C. Of a modality's features, or of the latents.
        num_modalities: M.
        dimension: 2 or 3.
        config: The settings.
    """

    def __init__(self, channels: int, num_modalities: int, dimension: int, config: HeteroModalConfig):
        super().__init__()
        self.channels = channels


class FeatureFusion(Fusion):
    """A fusion to what the decoder takes in, without a distribution."""

    @property
    def out_channels(self) -> int:
        """Channels of the result."""
        return self.channels

    @abstractmethod
    def forward(self, parts: Sequence[Part], shape: Sequence[int], device: torch.device) -> Tensor:
        """Fuse a level.

        Args:
            parts: One for each modality that is present in at least one sample; may be empty.
            shape: ``(B, C, *spatial)``.
            device: Where the result lives.

        Returns:
            ``(B, out_channels, *spatial)``.
        """


class GaussianFusion(Fusion):
    """A fusion of Gaussians, one per modality, to one from which the latents are drawn."""

    @abstractmethod
    def forward(self, parts: Sequence[Part], shape: Sequence[int], device: torch.device) -> Gaussian:
        """Fuse a level.

        Args:
            parts: One for each modality that is present in at least one sample; may be empty.
            shape: ``(B, C, *spatial)``.
            device: Where the result lives.

        Returns:
            Mean and log-variance, each ``(B, C, *spatial)``, float32.
        """


class ProductOfGaussians(GaussianFusion):
    """Ours: the product with the prior, see `product_of_gaussians`."""

    def __init__(self, channels: int, num_modalities: int, dimension: int, config: HeteroModalConfig):
        super().__init__(channels, num_modalities, dimension, config)
        self.max_abs_log_variance = config.max_abs_log_variance

    def forward(self, parts: Sequence[Part], shape: Sequence[int], device: torch.device) -> Gaussian:
        """See `GaussianFusion`; without any modality the prior."""
        product = self.begin(shape, device)
        for part in parts:
            product.multiply(Expert(part.features, Rows.of(part.samples.tolist(), device)))
        return product.posterior()

    def begin(self, shape: Sequence[int], device: torch.device, dtype: torch.dtype = torch.float32) -> Product:
        """The prior, into which modalities can be multiplied one by one."""
        return Product(shape, device, self.max_abs_log_variance, dtype)


class Moments(FeatureFusion):
    """U-HeMIS's: mean and variance over the modalities, see `moments`."""

    @property
    def out_channels(self) -> int:
        """Means and variances."""
        return 2 * self.channels

    def forward(self, parts: Sequence[Part], shape: Sequence[int], device: torch.device) -> Tensor:
        """See `FeatureFusion`; without any modality all moments are 0."""
        return moments([(part.features, part.samples) for part in parts], shape, device)


PRODUCT_OF_GAUSSIANS, MOMENTS = OUR_FUSIONS

FUSIONS: Registry[type[Fusion]] = Registry(
    FUSIONS_GROUP,
    "fusion",
    {PRODUCT_OF_GAUSSIANS: f"{__name__}:ProductOfGaussians", MOMENTS: f"{__name__}:Moments"},
    lambda found: isinstance(found, type) and issubclass(found, (FeatureFusion, GaussianFusion)),
    "a class built on FeatureFusion or GaussianFusion",
)
"""By the name that the setting ``fusion`` has for each."""

Kind = TypeVar("Kind", FeatureFusion, GaussianFusion)


def fusion_of(name: str | None, kind: type[Kind], default: str | None, network: str) -> type[Kind]:
    """The fusion of a setting.

    Args:
        name: Of the setting; None is the network's own.
        kind: What the network can use, `FeatureFusion` or `GaussianFusion`.
        default: The network's own; None if it has none.
        network: Who asks, for the errors' text.

    Raises:
        SettingsError: If there is none of this name, or the network cannot use it.
    """
    wanted = name or default
    if wanted is not None:
        found = FUSIONS.get(wanted)
        if issubclass(found, kind):
            return found
    usable = [known for known in FUSIONS.names() if issubclass(FUSIONS.get(known), kind)]
    raise SettingsError(
        f"{KEY}.fusion is {wanted!r}, which {network} cannot use. It can use {', '.join(usable)}; set one of them with "
        "'nnunet_hetero plan', --set fusion=NAME."
    )
