"""nnU-Net's own U-Net on modalities that may be absent: their channels are zero."""

from __future__ import annotations

from collections.abc import Sequence

from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import Tensor, nn

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.modalities import Subset
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.network.parts import require_no_cascade


class EarlyFusionUNet(HeteroNetwork):
    """The network of nnU-Net's plans, in which all modalities enter as the channels of one image.

    Args:
        unet: The plans' network, with one channel per modality that it uses.
        num_modalities: M, the number of input channels.
        subset: The only modalities that the network uses, and needs; None for all M, any of which may be absent.
    """

    def __init__(self, unet: nn.Module, num_modalities: int, subset: Subset | None = None):
        super().__init__(num_modalities)
        self.unet = unet
        self.required = subset

    @classmethod
    def from_plans(cls, configuration_manager, num_modalities: int, num_outputs: int, deep_supervision: bool):
        """Build the plans' network, for the setting ``subset`` if there is one.

        Raises:
            SettingsError: If the configuration is the second stage of a cascade.
        """
        require_no_cascade(configuration_manager, cls.__name__)
        channels = HeteroModalConfig.from_plans(configuration_manager).subset
        subset = None if channels is None else tuple(channels)
        unet = get_network_from_plans(
            configuration_manager.network_arch_class_name,
            configuration_manager.network_arch_init_kwargs,
            configuration_manager.network_arch_init_kwargs_req_import,
            num_modalities if subset is None else len(subset),
            num_outputs,
            allow_init=True,
            deep_supervision=deep_supervision,
        )
        return cls(unet, num_modalities, subset)

    @property
    def decoder(self) -> nn.Module:
        """The U-Net's; nnU-Net switches deep supervision at ``network.decoder.deep_supervision``."""
        return self.unet.decoder

    def forward(self, x: Tensor, available: Tensor | None = None) -> Tensor | list[Tensor]:
        """Segment from the available modalities.

        Args:
            x: Preprocessed images, ``(B, M, *spatial)``, absent channels zero.
            available: ``(B, M)`` bool, what each sample is segmented from; None takes the channels as they are.

        Returns:
            Segmentation logits ``(B, K, *spatial)``, or a list, finest first, with deep supervision.

        Raises:
            SettingsError: If x has another number of channels than the model has modalities.
        """
        self.require_channels(x)
        if available is not None:
            shown = available.to(x.device).view(*available.shape, *[1] * (x.ndim - 2))
            x = x.where(shown, 0)
        return self.unet(x if self.required is None else x[:, list(self.required)])

    def compile_parts(self, **kwargs) -> None:
        """torch.compile the U-Net in place; it is the same for all subsets."""
        self.unet.compile(**kwargs)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Elements of all feature maps for one sample, nnU-Net's measure of memory."""
        return self.unet.compute_conv_feature_map_size(input_size)
