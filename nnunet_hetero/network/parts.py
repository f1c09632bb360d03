"""nnU-Net's building blocks as our networks use them: encoders of their own width, decoders of latents."""

from __future__ import annotations

import math
import pydoc
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from dynamic_network_architectures.building_blocks.residual import BasicBlockD, BottleneckD
from dynamic_network_architectures.building_blocks.residual_encoders import ResidualEncoder
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU, StackedConvBlocks
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from dynamic_network_architectures.initialization.weight_init import InitWeights_He, init_last_bn_before_add_to_0
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nnunet_hetero.config import PLAN, HeteroModalConfig
from nnunet_hetero.errors import SettingsError


def require_no_cascade(configuration_manager, network: str) -> None:
    """Refuse the second stage of a cascade.

    Raises:
        SettingsError: If the configuration is one.
    """
    if configuration_manager.previous_stage_name is not None:
        raise SettingsError(
            f"{network} does not support cascades: a previous stage's segmentation is no modality that could be "
            "missing. Use the configuration 2d, 3d_lowres or 3d_fullres."
        )


def planned_architecture(configuration_manager, network: str) -> dict:
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


class PlannedNetwork:
    """What a network is that follows the architecture of nnU-Net's plans: it can be built from them.

    It takes ``(architecture, num_modalities, num_outputs, deep_supervision, config)``.
    """

    @classmethod
    def from_plans(cls, configuration_manager, num_modalities: int, num_outputs: int, deep_supervision: bool):
        """Build the network for a configuration of nnU-Net's plans.

        Raises:
            SettingsError: If the plan's network is neither ``PlainConvUNet`` nor ``ResidualEncoderUNet``, or the
                configuration is the second stage of a cascade.
        """
        architecture = planned_architecture(configuration_manager, cls.__name__)
        config = HeteroModalConfig.from_plans(configuration_manager)
        return cls(architecture, num_modalities, num_outputs, deep_supervision, config)


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
    names = ("strides", "kernel_sizes", "conv_op", "conv_bias", "norm_op", "norm_op_kwargs", "dropout_op")
    names += ("dropout_op_kwargs", "nonlin", "nonlin_kwargs")
    plan = SimpleNamespace(**{name: getattr(backbone, name) for name in names})
    plan.nonlin_first = architecture.get("nonlin_first", False)
    return plan


def initialise_as_nnunet(network: nn.Module) -> None:
    """nnU-Net's weights at the start; each residual block starts as the identity."""
    network.apply(InitWeights_He(1e-2))
    network.apply(init_last_bn_before_add_to_0)


def remove_norms(part: nn.Module) -> None:
    """Take the norms out of nnU-Net's blocks, in place; residual blocks still start as the identity."""
    for block in part.modules():
        if isinstance(block, (BasicBlockD, BottleneckD)):
            for parameter in getattr(block, "conv3", block.conv2).conv.parameters():
                nn.init.zeros_(parameter)
        elif isinstance(block, ConvDropoutNormReLU) and hasattr(block, "norm"):
            block.all_modules = nn.Sequential(*(layer for layer in block.all_modules if layer is not block.norm))
            del block.norm


def level_shapes(spatial: Sequence[int], strides: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Spatial shape of every level, finest first; a strided convolution with "same" padding rounds up."""
    shapes, shape = [], list(spatial)
    for stride in strides:
        shape = [-(-size // step) for size, step in zip(shape, stride, strict=True)]
        shapes.append(tuple(shape))
    return shapes


def compute_again(network: nn.Module, function: Callable, *arguments):
    """Call a function of little work and many intermediate results; training makes them twice, to keep none."""
    if network.training and torch.is_grad_enabled():
        return checkpoint(function, *arguments, use_reentrant=False)
    return function(*arguments)


class FeatureEncoder(nn.Module):
    """Encoder of one modality: feature maps of every level.

    Args:
        backbone: From ``(n, 1, *spatial)`` to a list of feature maps, finest first.
    """

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone
        for module in backbone.modules():
            if isinstance(module, tuple(POINTWISE)):
                module.register_forward_pre_hook(_never_small_and_alone)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encode images of one modality, ``(n, 1, *spatial)``, to the feature maps of every level, finest first."""
        return [features if len(features) == len(x) else features[: len(x)] for features in self.backbone(x)]


def _never_small_and_alone(convolution: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
    """On a CPU torch runs the small 3D convolutions of a single sample by a path three times slower than for two.

    What is small is in its ``use_mkldnn`` (aten/src/ATen/native/Convolution.cpp).
    """
    (x,) = inputs
    small = convolution.in_channels > 1 and len(x) == 1 and x.shape[:4].numel() <= 20480
    return (x.expand(2, *x.shape[1:]),) if small and x.device.type == "cpu" else None


class _Pointwise:
    """A convolution with a kernel of one voxel, on a CPU as a matrix product: up to three times faster."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if x.device.type != "cpu":
            return super()._conv_forward(x, weight, bias)
        constant = weight.new_zeros(1) if bias is None else bias
        weight = weight.flatten(1).expand(len(x), -1, -1)
        return torch.baddbmm(constant[None, :, None], weight, x.flatten(2)).unflatten(2, x.shape[2:])


class PointwiseConv2d(_Pointwise, nn.Conv2d):
    """See `_Pointwise`."""


class PointwiseConv3d(_Pointwise, nn.Conv3d):
    """See `_Pointwise`."""


class _RowwiseNorm:
    """An instance norm, on a CPU as a group norm of a group per channel: with its activation up to 2.5 times faster.

    torch's instance norm returns a view, and an activation in place of a view copies all of it several times.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        return nn.functional.group_norm(x, self.num_features, self.weight, self.bias, self.eps)


class RowwiseNorm2d(_RowwiseNorm, nn.InstanceNorm2d):
    """See `_RowwiseNorm`."""


class RowwiseNorm3d(_RowwiseNorm, nn.InstanceNorm3d):
    """See `_RowwiseNorm`."""


POINTWISE = {nn.Conv2d: PointwiseConv2d, nn.Conv3d: PointwiseConv3d}
ROWWISE = {nn.InstanceNorm2d: RowwiseNorm2d, nn.InstanceNorm3d: RowwiseNorm3d}


def quicken(network: nn.Module) -> None:
    """Let instance norms, and convolutions with kernels of one voxel, run another way where that is faster."""
    for module in network.modules():
        if type(module) in POINTWISE and {*module.kernel_size, *module.stride} == {1}:
            module.__class__ = POINTWISE[type(module)]
        elif type(module) in ROWWISE and not module.track_running_stats:
            module.__class__ = ROWWISE[type(module)]


class LatentDecoder(UNetDecoder):
    """nnU-Net's decoder on latents: at every level they stand where a U-Net has the features of its encoder.

    Args:
        plan: From `decoder_plan`.
        latent_channels: Channels of the latent of every level, finest first.
        widths: Features of this decoder at every level; the last one, at the deepest level, is not used.
        num_outputs: Channels of the output.
        n_conv_per_stage: Convolutions per level.
        deep_supervision: Whether `forward` gives the output of every level.
        channels_from_below: What comes up to a level from the one below, finest first; default ``widths``.
    """

    def __init__(
        self,
        plan: SimpleNamespace,
        latent_channels: Sequence[int],
        widths: Sequence[int],
        num_outputs: int,
        n_conv_per_stage: int | Sequence[int],
        deep_supervision: bool,
        channels_from_below: Sequence[int] | None = None,
    ):
        plan = SimpleNamespace(**{**vars(plan), "output_channels": list(widths)})
        super().__init__(plan, num_outputs, n_conv_per_stage, deep_supervision, nonlin_first=plan.nonlin_first)
        # nnU-Net's takes as many channels from the encoder as from the level below, so its first layers are built anew.
        from_below = channels_from_below or widths
        levels = list(zip(widths, latent_channels, from_below, plan.kernel_sizes, strict=True))[-2::-1]
        self.fewer_from_below = [width - below for width, below in zip(widths, from_below, strict=True)]
        self.strides = plan.strides
        self.stages = nn.ModuleList(
            StackedConvBlocks(
                len(stage.convs),
                plan.conv_op,
                below + latent,
                width,
                kernel,
                1,
                plan.conv_bias,
                plan.norm_op,
                plan.norm_op_kwargs,
                plan.dropout_op,
                plan.dropout_op_kwargs,
                plan.nonlin,
                plan.nonlin_kwargs,
                plan.nonlin_first,
            )
            for stage, (width, latent, below, kernel) in zip(self.stages, levels, strict=True)
        )
        deeper = (latent_channels[-1], *widths[-2:0:-1])
        self.transpconvs = nn.ModuleList(
            type(up)(channels, below, up.kernel_size, up.stride, bias=up.bias is not None)
            for up, channels, (_, _, below, _) in zip(self.transpconvs, deeper, levels, strict=True)
        )

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Elements of the outputs of all convolutions; nnU-Net expects `widths` channels from below."""
        shapes = level_shapes(input_size, self.strides)[:-1]
        less = sum(fewer * math.prod(shape) for fewer, shape in zip(self.fewer_from_below, shapes, strict=False))
        return super().compute_conv_feature_map_size(input_size) - less
