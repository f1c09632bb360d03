"""nnU-Net's building blocks at widths of our own, from the architecture of its plans."""

from __future__ import annotations

import pydoc
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from dynamic_network_architectures.building_blocks.residual import BasicBlockD, BottleneckD
from dynamic_network_architectures.building_blocks.residual_encoders import ResidualEncoder
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from dynamic_network_architectures.initialization.weight_init import InitWeights_He, init_last_bn_before_add_to_0
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import nn

from nnunet_hetero.config import PLAN, HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.hetero_network import HeteroNetwork


def require_no_cascade(configuration_manager: ConfigurationManager, network: str) -> None:
    """Refuse the second stage of a cascade.

    Raises:
        SettingsError: If the configuration is one.
    """
    if configuration_manager.previous_stage_name is not None:
        raise SettingsError(
            f"{network} does not support cascades: a previous stage's segmentation is no modality that could be "
            "missing. Use the configuration 2d, 3d_lowres or 3d_fullres."
        )


def start_by_kaiming(network: nn.Module) -> None:
    """Draw the weights of all convolutions by Kaiming's rule, from their input's width; biases are zero."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def planned_architecture(configuration_manager: ConfigurationManager, network: str) -> dict:
    """Keyword arguments of nnU-Net's U-Net for a configuration of its plans, classes resolved.

    Args:
        configuration_manager: nnU-Net's.
        network: Who asks, for the errors' text.

    Raises:
        SettingsError: If the plan's network is neither ``PlainConvUNet`` nor ``ResidualEncoderUNet``, or the
            configuration is the second stage of a cascade.
    """
    name = configuration_manager.network_arch_class_name
    if name.split(".")[-1] not in (PlainConvUNet.__name__, ResidualEncoderUNet.__name__):
        raise SettingsError(
            f"The plans ask for the network '{name}'. {network} is built from PlainConvUNet or ResidualEncoderUNet "
            "plans; choose plans of nnU-Net's default or ResEnc planners (-p)."
        )
    require_no_cascade(configuration_manager, network)
    architecture = dict(configuration_manager.network_arch_init_kwargs)
    for key in configuration_manager.network_arch_init_kwargs_req_import:
        if architecture[key] is not None:
            architecture[key] = pydoc.locate(architecture[key])
    return architecture


class PlannedNetwork(HeteroNetwork):
    """What a network is that follows the architecture of nnU-Net's plans: it can be built from them.

    Args:
        architecture: Keyword arguments of nnU-Net's ``PlainConvUNet`` or ``ResidualEncoderUNet``, classes resolved.
        num_modalities: M, the number of input channels.
        num_outputs: K, the number of segmentation heads.
        deep_supervision: Whether the segmentation comes at every level.
        config: The method's settings.
    """

    @classmethod
    def from_plans(
        cls,
        configuration_manager: ConfigurationManager,
        num_modalities: int,
        num_outputs: int,
        deep_supervision: bool,
    ) -> HeteroNetwork:
        """Build the network for a configuration of nnU-Net's plans.

        Raises:
            SettingsError: If the plan's network is neither ``PlainConvUNet`` nor ``ResidualEncoderUNet``, or the
                configuration is the second stage of a cascade.
        """
        architecture = planned_architecture(configuration_manager, cls.__name__)
        config = HeteroModalConfig.from_plans(configuration_manager)
        # The arguments of every network that is built on this one.
        build: Any = cls
        return build(architecture, num_modalities, num_outputs, deep_supervision, config)


def planned_backbone(architecture: dict, widths: Sequence[int], finest: int | str = PLAN) -> nn.Module:
    """nnU-Net's encoder for one channel, at other widths than the plan's.

    Args:
        architecture: See `planned_architecture`.
        widths: Features of every level, finest first.
        finest: Convolutions (or residual blocks) of the finest level, if the plan has more; ``"plan"`` keeps them.
    """
    kwargs = {
        key: value
        for key, value in architecture.items()
        if key not in ("features_per_stage", "n_conv_per_stage_decoder", "deep_supervision")
    }
    residual = "n_blocks_per_stage" in kwargs
    per_stage = "n_blocks_per_stage" if residual else "n_conv_per_stage"
    kwargs[per_stage] = at_most(finest, kwargs[per_stage], len(widths))
    encoder = ResidualEncoder if residual else PlainConvEncoder
    return encoder(input_channels=1, features_per_stage=list(widths), return_skips=True, **kwargs)


def at_most(finest: int | str, planned: int | Sequence[int], levels: int) -> list[int]:
    """Convolutions of every level, finest first: the plan's, but at the finest level not more than ``finest``.

    Args:
        finest: Their number there; ``"plan"`` keeps the plan's.
        planned: The plan's at every level, finest first, or one number for all.
        levels: Number of levels.
    """
    first, *others = [planned] * levels if isinstance(planned, int) else planned
    return [first if finest == PLAN else min(int(finest), first), *others]


def decoder_plan(architecture: dict, backbone: nn.Module) -> SimpleNamespace:
    """What nnU-Net's decoder reads off an encoder, except for the widths."""
    names = ["strides", "kernel_sizes", "conv_op", "conv_bias", "norm_op", "norm_op_kwargs", "dropout_op"]
    names += ["dropout_op_kwargs", "nonlin", "nonlin_kwargs"]
    plan = SimpleNamespace(**{name: getattr(backbone, name) for name in names})
    plan.nonlin_first = architecture.get("nonlin_first", False)
    return plan


def initialise_as_nnunet(*parts: nn.Module) -> None:
    """nnU-Net's weights at the start; each residual block starts as the identity.

    Args:
        parts: Encoders and decoders. A fusion says itself how its weights begin.
    """
    for initialise in (InitWeights_He(1e-2), init_last_bn_before_add_to_0):
        for part in parts:
            part.apply(initialise)


def remove_norms(part: nn.Module) -> None:
    """Take the norms out of nnU-Net's blocks, in place; residual blocks still start as the identity."""
    for block in part.modules():
        if isinstance(block, (BasicBlockD, BottleneckD)):
            for parameter in getattr(block, "conv3", block.conv2).conv.parameters():
                nn.init.zeros_(parameter)
        elif isinstance(block, ConvDropoutNormReLU) and hasattr(block, "norm"):
            block.all_modules = nn.Sequential(*(layer for layer in block.all_modules if layer is not block.norm))
            del block.norm
