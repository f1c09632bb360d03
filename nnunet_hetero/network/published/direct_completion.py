"""nnU-Net's own U-Net that completes images directly: what is absent is zero, and all images are further outputs.

A generator as pix2pix has it (Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR
2017), without a discriminator: what completed images are measured by is their distance to the real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from nnunet_hetero.modalities import Subset
from nnunet_hetero.network.early_fusion import EarlyFusionUNet
from nnunet_hetero.network.variational import HeteroModalOutput


class ImageOutputs:
    """M more outputs of a U-Net at its finest level: images beside the segmentation.

    Args:
        unet: nnU-Net's; its finest output layer is made anew.
        num_modalities: M.
    """

    def __init__(self, unet: Any, num_modalities: int):
        finest = unet.decoder.seg_layers[-1]
        self.heads = finest.out_channels
        wider = type(finest)(finest.in_channels, self.heads + num_modalities, 1, bias=finest.bias is not None)
        nn.init.kaiming_normal_(wider.weight, a=1e-2)
        if wider.bias is not None:
            nn.init.zeros_(wider.bias)
        unet.decoder.seg_layers[-1] = wider

    def segmentation(self, output: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
        """The K first channels of the U-Net's output; with deep supervision a list, finest first."""
        if isinstance(output, list):
            return [output[0][:, : self.heads], *output[1:]]
        return output[:, : self.heads]

    def images(self, output: Tensor | list[Tensor]) -> Tensor:
        """``(B, M, *spatial)``, the channels after those of the segmentation."""
        return (output[0] if isinstance(output, list) else output)[:, self.heads :]


class DirectCompletionUNet(EarlyFusionUNet):
    """nnU-Net's network on channels of zeros, with `ImageOutputs`.

    Args:
        unet: The plans' network, with a channel per modality.
        num_modalities: M, the number of input channels.
        subset: None; the network is for any subset.
    """

    def __init__(self, unet: nn.Module, num_modalities: int, subset: Subset | None = None):
        super().__init__(unet, num_modalities, subset)
        self.outputs = ImageOutputs(self.unet, num_modalities)

    @property
    def completes_images(self) -> bool:
        """Always."""
        return True

    def decode(self, levels: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """The segmentation, see `HeteroNetwork`."""
        return self.outputs.segmentation(super().decode(levels))

    def complete(self, latents: Sequence[Tensor], available: Tensor, modalities: Sequence[int] | None = None) -> Tensor:
        """Images, see `HeteroNetwork`; they take a pass of their own."""
        images = self.outputs.images(super().decode(latents))
        return images if modalities is None else images[:, list(modalities)]

    def forward(self, x: Tensor, available: Tensor | None = None, *, full: bool = False) -> Any:
        """Segment, and on demand complete; see `VariationalNetwork.forward`, here without a posterior."""
        if not full:
            return super().forward(x, available)
        levels, _ = self.fused(x, available)
        output = super().decode(cast(Sequence[Tensor], levels))
        nothing = torch.zeros((), device=x.device)
        return HeteroModalOutput(self.outputs.segmentation(output), self.outputs.images(output), [], nothing)
