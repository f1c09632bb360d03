"""M3AE's network: nnU-Net's own, in which a learned image stands wherever nothing is seen.

Liu et al., "M3AE: Multimodal Representation Learning for Brain Tumor Segmentation with Missing Modalities", AAAI 2023.
Written from the paper's description alone. The learned image has all modalities; it stands in for absent ones, and in
the pretraining for the blocks that are hidden too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import Tensor, nn
from torch.nn import functional

from nnunet_hetero.modalities import Subset
from nnunet_hetero.network.early_fusion import EarlyFusionUNet
from nnunet_hetero.network.hetero_network import EncodedModality, Level
from nnunet_hetero.network.published.direct_completion import ImageOutputs
from nnunet_hetero.network.published.filter_scaling import Seen


class MaskedUNet(EarlyFusionUNet):
    """nnU-Net's network with a learned image of all modalities, and M more outputs at the finest level: the images.

    Args:
        unet: The plans' network, with a channel per modality.
        num_modalities: M, the number of input channels.
        subset: None; the network is for any subset.
        patch: The plan's patch, the size of the learned image.
    """

    def __init__(
        self, unet: nn.Module, num_modalities: int, subset: Subset | None = None, patch: Sequence[int] = (1, 1, 1)
    ):
        super().__init__(unet, num_modalities, subset)
        self.substitute = nn.Parameter(torch.zeros(1, num_modalities, *patch))
        self.outputs = ImageOutputs(self.unet, num_modalities)

    @classmethod
    def from_plans(
        cls,
        configuration_manager: ConfigurationManager,
        num_modalities: int,
        num_outputs: int,
        deep_supervision: bool,
    ) -> MaskedUNet:
        """See `EarlyFusionUNet`."""
        plain = EarlyFusionUNet.from_plans(configuration_manager, num_modalities, num_outputs, deep_supervision)
        return cls(plain.unet, num_modalities, plain.required, configuration_manager.patch_size)

    def substitute_at(self, spatial: Sequence[int]) -> Tensor:
        """The learned image, ``(1, M, *spatial)``; of another size than the plan's patch it is scaled."""
        if list(self.substitute.shape[2:]) == list(spatial):
            return self.substitute
        mode = "trilinear" if len(spatial) == 3 else "bilinear"
        return functional.interpolate(self.substitute, list(spatial), mode=mode, align_corners=False)

    def fuse(self, encoded: Iterable[EncodedModality], batch_size: int, spatial: Sequence[int]) -> list[Level]:
        """One level: the images ``(B, M, *spatial)``; the learned image where a modality is absent."""
        encoded = list(encoded)
        images = cast(Tensor, super().fuse(encoded, batch_size, spatial)[0])
        available = torch.zeros((batch_size, self.num_modalities), dtype=torch.bool, device=images.device)
        for channel, _, samples in encoded:
            available[samples.index, channel] = True
        return [self._substituted(images, available.view(*available.shape, *[1] * len(spatial)))]

    def decode(self, levels: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """The U-Net on the images; its first K outputs."""
        return self.outputs.segmentation(super().decode(levels))

    def forward(self, x: Tensor, available: Tensor | None = None, *, visible: Tensor | None = None) -> Any:
        """Segment, reconstruct in the pretraining, or segment from several subsets.

        Args:
            x: Preprocessed images, ``(B, M, *spatial)``, absent channels zero.
            available: ``(B, M)`` bool; ``(N, B, M)`` gives a list of N `Seen`, with the deepest features.
            visible: ``(B, M, *spatial)`` bool, what of the images is not hidden; the result is then the images,
                ``(B, M, *spatial)``.
        """
        if visible is not None:
            output = self.unet(self._substituted(x, visible))
            levels = output if isinstance(output, list) else [output]
            # A distributed training waits for a gradient of the coarser outputs too.
            return self.outputs.images(output) + sum(0.0 * level.sum() for level in levels[1:])
        if available is None or available.ndim == 2:
            return super().forward(x, available)
        return [self._seen(x, subset) for subset in available]

    def _substituted(self, images: Tensor, visible: Tensor) -> Tensor:
        return torch.where(visible, images, self.substitute_at(images.shape[2:]).to(images.dtype))

    def _seen(self, x: Tensor, available: Tensor) -> Seen:
        (images,), _ = self.fused(x, available)
        skips = self.unet.encoder(images)
        return Seen(self.outputs.segmentation(self.unet.decoder(skips)), skips[-1])
