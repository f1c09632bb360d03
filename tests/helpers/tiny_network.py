"""Tiny networks built from plans as nnU-Net writes them, and images for them."""

from __future__ import annotations

from copy import deepcopy

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from helpers.tiny_model import CONFIGURATION, tiny_plans
from nnunet_hetero.network.hetero_modal import HeteroModalVAE

PLAIN = f"{PlainConvUNet.__module__}.{PlainConvUNet.__name__}"
RESIDUAL = f"{ResidualEncoderUNet.__module__}.{ResidualEncoderUNet.__name__}"


def tiny_configuration(
    features=(8, 8, 16), strides=None, kernels=None, residual: bool = False, network_class: str = "", **settings
) -> ConfigurationManager:
    """A configuration of nnU-Net's plans.

    Args:
        features: Features of every level.
        strides: Stride of every level, a list per level; its length says whether the network is 2D or 3D. Default 3D,
            halved at every level.
        kernels: Kernel of every level, default 3 everywhere.
        residual: Whether to plan a ``ResidualEncoderUNet``.
        network_class: Another network to ask for.
        settings: Content of ``hetero_modal``.
    """
    levels = len(features)
    strides = strides or [[1] * 3] + [[2] * 3] * (levels - 1)
    dimension = len(strides[0])
    plans = tiny_plans()
    configuration = plans["configurations"][CONFIGURATION]
    architecture = configuration["architecture"]
    architecture["network_class_name"] = network_class or (RESIDUAL if residual else PLAIN)
    kwargs = architecture["arch_kwargs"]
    kwargs.update(
        n_stages=levels,
        features_per_stage=list(features),
        conv_op=f"torch.nn.modules.conv.Conv{dimension}d",
        norm_op=f"torch.nn.modules.instancenorm.InstanceNorm{dimension}d",
        strides=strides,
        kernel_sizes=kernels or [[3] * dimension] * levels,
        n_conv_per_stage_decoder=[1] * (levels - 1),
    )
    blocks = kwargs.pop("n_conv_per_stage")
    kwargs["n_blocks_per_stage" if residual else "n_conv_per_stage"] = (blocks * levels)[:levels]
    if settings:
        configuration["hetero_modal"] = deepcopy(settings)
    return PlansManager(plans).get_configuration(CONFIGURATION)


def tiny_network(
    modalities: int = 4, outputs: int = 3, deep_supervision: bool = False, seed: int = 0, **configuration
) -> HeteroModalVAE:
    """A small network in evaluation mode, weights seeded; further arguments: see `tiny_configuration`.

    Its variances differ between voxels and modalities, and the output of its image decoder between subsets, as after
    training, so that tests see them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = HeteroModalVAE.from_plans(
            tiny_configuration(**configuration), modalities, outputs, deep_supervision
        ).eval()
        for encoder in network.encoders:
            for head in encoder.heads:
                torch.nn.init.normal_(head.weight, std=0.5)
        if network.image_decoder is not None:
            torch.nn.init.normal_(network.image_decoder.output.weight)
    return network


def configured(configuration: dict, size, **settings) -> ConfigurationManager:
    """A configuration of the plans whose patch has as many axes as the images of a test."""
    manager = tiny_configuration(**configuration, **settings)
    manager.configuration["patch_size"] = list(size)
    return manager


def build(kind, configuration: dict, size, modalities=4, deep_supervision=False, **settings):
    """A network of any class with seeded weights, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        manager = configured(configuration, size, **settings)
        return kind.from_plans(manager, modalities, 3, deep_supervision).eval()


def random_images(batch: int = 2, modalities: int = 4, shape=(8, 8, 8), seed: int = 0) -> torch.Tensor:
    """Images without a zero channel, ``(batch, modalities, *shape)``."""
    return torch.randn(batch, modalities, *shape, generator=torch.Generator().manual_seed(seed))


def masks(*subsets, modalities: int = 4) -> torch.Tensor:
    """``available`` of a batch, one subset of channel numbers per sample."""
    return torch.tensor([[channel in subset for channel in range(modalities)] for subset in subsets])


def everything(output) -> list[torch.Tensor]:
    """All tensors of a `HeteroModalOutput`."""
    segmentation = output.segmentation if isinstance(output.segmentation, list) else [output.segmentation]
    completion = [] if output.completion is None else [output.completion]
    return [*segmentation, *completion, *(part for level in output.posterior for part in level)]


def train_on(network: HeteroModalVAE, x, available) -> None:
    """Backward pass of something that depends on every output."""
    torch.manual_seed(0)
    sum(part.square().mean() for part in everything(network.train()(x, available, full=True))).backward()
