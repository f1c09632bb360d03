"""nnU-Net's own U-Net on modalities that may be absent: their channels are zero."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import Tensor, nn

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.modalities import Subset
from nnunet_hetero.network.hetero_network import EncodedModality, HeteroNetwork, Level
from nnunet_hetero.network.planned import require_no_cascade


class _AsItIs(nn.Module):
    """The encoder of a modality that is not encoded apart."""

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x]


class EarlyFusionUNet(HeteroNetwork):
    """The network of nnU-Net's plans, in which all modalities enter as the channels of one image.

    Args:
        unet: The plans' network, with one channel per modality that it uses.
        num_modalities: M, the number of input channels.
        subset: The only modalities that the network uses, and needs; None for all M, any of which may be absent.
    """

    def __init__(self, unet: nn.Module, num_modalities: int, subset: Subset | None = None):
        super().__init__(num_modalities)
        # What nnU-Net's networks have beside torch's, a decoder and the size of their feature maps, has no type.
        self.unet: Any = unet
        self.required = subset
        self.encoders = nn.ModuleList(_AsItIs() for _ in range(num_modalities))

    @classmethod
    def from_plans(
        cls,
        configuration_manager: ConfigurationManager,
        num_modalities: int,
        num_outputs: int,
        deep_supervision: bool,
    ) -> EarlyFusionUNet:
        """Build the plans' network, for the setting ``subset`` if there is one.

        Raises:
            SettingsError: If the configuration is the second stage of a cascade.
        """
        require_no_cascade(configuration_manager, cls.__name__)
        subset = HeteroModalConfig.from_plans(configuration_manager).channels
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
    def decoder(self) -> nn.Module:  # type: ignore[override]  # a second name would put its weights into files twice
        """The U-Net's; nnU-Net switches deep supervision at ``network.decoder.deep_supervision``."""
        return self.unet.decoder

    def fuse(self, encoded: Iterable[EncodedModality], batch_size: int, spatial: Sequence[int]) -> list[Level]:
        """One level: the images ``(B, M, *spatial)``, those that are not encoded zero."""
        encoded = list(encoded)
        parameter = next(self.parameters())
        dtype = encoded[0].features[0].dtype if encoded else parameter.dtype
        images = parameter.new_zeros((batch_size, self.num_modalities, *spatial), dtype=dtype)
        for channel, features, samples in encoded:
            images[samples.index, channel] = features[0][:, 0]
        return [images]

    def decode(self, levels: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """The U-Net on the images."""
        (images,) = levels
        return self.unet(images if self.required is None else images[:, list(self.required)])

    def compile_parts(self, **kwargs: Any) -> None:
        """torch.compile the U-Net in place; it is the same for all subsets."""
        self.unet.compile(**kwargs)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Elements of all feature maps for one sample, nnU-Net's measure of memory."""
        return self.unet.compute_conv_feature_map_size(input_size)
