"""The full-size step of training that costs are counted on: nnU-Net's own networks and ours, with nnU-Net's loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor, nn

from measuring.counting import Counter, Counts, as_on_a_gpu, mixed_precision
from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.inference.engine.network_steps import latents
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.network.hetero_modal import HeteroModalVAE
from nnunet_hetero.network.per_modality import level_shapes
from nnunet_hetero.subset_sampling import SubsetSampler
from nnunet_hetero.training.optimization.losses import foreground, masked_l2
from nnunet_hetero.training.optimization.optimizers import OPTIMIZERS

PATCH, BATCH = (128, 160, 112), 2
FEATURES = (32, 64, 128, 256, 320, 320)
OUTPUTS = 3
OUR_OPTIMIZER = "Muon"
"""The default of `HeteroModalVAETrainer`."""
PLAIN, RESIDUAL = "plain", "ResEnc"


def architecture(kind: str = PLAIN, features: Sequence[int] = FEATURES, patch: Sequence[int] = PATCH) -> dict:
    """What nnU-Net's default and ResEnc planners write for isotropic voxels.

    Args:
        kind: `PLAIN` or `RESIDUAL`.
        features: Of every level.
        patch: Voxels along every axis, two or three.
    """
    levels, axes = len(features), len(patch)
    convolution, norm = (nn.Conv2d, nn.InstanceNorm2d) if axes == 2 else (nn.Conv3d, nn.InstanceNorm3d)
    shared = {
        "n_stages": levels,
        "features_per_stage": list(features),
        "conv_op": convolution,
        "kernel_sizes": [[3] * axes] * levels,
        "strides": strides(patch, levels),
        "conv_bias": True,
        "norm_op": norm,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
    }
    if kind == RESIDUAL:
        blocks = [1, 3, 4, 6, 6, 6, 6][:levels]
        return {**shared, "n_blocks_per_stage": blocks, "n_conv_per_stage_decoder": [1] * (levels - 1)}
    return {**shared, "n_conv_per_stage": [2] * levels, "n_conv_per_stage_decoder": [2] * (levels - 1)}


def strides(patch: Sequence[int], levels: int) -> list[list[int]]:
    """As nnU-Net's planner has them: an axis is halved while it is even and at least 4 voxels are left."""
    found, sizes = [[1] * len(patch)], list(patch)
    while len(found) < levels:
        step = [2 if size % 2 == 0 and size >= 8 else 1 for size in sizes]
        sizes = [size // by for size, by in zip(sizes, step, strict=True)]
        found.append(step)
    return found


def nnunets_network(kind: str, modalities: int, plan: dict) -> nn.Module:
    """nnU-Net's own, with a channel for each modality."""
    network = ResidualEncoderUNet if kind == RESIDUAL else PlainConvUNet
    return network(modalities, num_classes=OUTPUTS, deep_supervision=True, **plan)


def our_network(modalities: int, plan: dict, config: HeteroModalConfig | None = None) -> nn.Module:
    """Ours for the same plan."""
    return HeteroModalVAE(plan, modalities, OUTPUTS, True, config)


def training_step(
    network: nn.Module,
    data: Tensor,
    targets: list[Tensor],
    available: Tensor,
    dtype: torch.dtype | None = None,
    single: Tensor | None = None,
) -> Callable[[], None]:
    """A step as nnU-Net's trainer, or ours, takes it: losses of all levels, backward, clipping, optimiser.

    Args:
        network: Either.
        data: Images, ``(B, M, *spatial)``.
        targets: Regions of every level of the deep supervision, ``(B, K, *spatial)`` float.
        available: What ours is shown, ``(B, M)`` bool on the host.
        dtype: Type of mixed precision; None leaves all in float32.
        single: What each sample of ours is segmented from as well, see the setting ``single_modality_weight``; None for
            nothing.
    """
    weights = [1 / 2**level for level in range(len(targets))]
    dice = {"batch_dice": True, "do_bg": True, "smooth": 1e-5, "ddp": False}
    loss = DeepSupervisionWrapper(
        DC_and_BCE_loss({}, dice, use_ignore_label=False, dice_class=MemoryEfficientSoftDiceLoss), weights
    )
    ours = isinstance(network, HeteroModalVAE)
    present = torch.ones(len(data), data.shape[1], dtype=torch.bool)
    if ours:
        optimizer = OPTIMIZERS.get(OUR_OPTIMIZER)(network, 5e-3, 3e-5)
    else:
        optimizer = torch.optim.SGD(network.parameters(), 1e-2, 0.99, weight_decay=3e-5, nesterov=True)

    def losses() -> Tensor:
        with mixed_precision(dtype, data.device.type):
            if not ours:
                return loss(network(data), targets)
            output = network(data, available, full=True, single=single)
            total = loss(output.segmentation, targets)
            if output.single is not None:
                samples, levels = output.single
                total = total + loss(levels, [samples.pick(target) for target in targets[-len(levels) :]])
        total = total + 0.03 * output.kl
        if output.completion is not None:
            total = total + masked_l2(output.completion, data, present, foreground(data, present))
        return total

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        losses().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
        optimizer.step()

    return step


def count_prediction(
    build: Callable[[], nn.Module],
    modalities: int,
    patch=PATCH,
    autocast: torch.dtype | None = torch.float16,
) -> Counts:
    """What the segmentation of one tile takes, from all modalities and the posterior's mean.

    Args:
        build: Makes the network.
        modalities: M.
        patch: Voxels along every axis.
        autocast: Type of mixed precision; None counts in float32.
    """
    available = torch.ones(1, modalities, dtype=torch.bool)  # not fake: it is decided on the host
    with as_on_a_gpu(), torch.no_grad():
        network = build().eval()
        network.decoder.deep_supervision = False
        data = torch.randn(1, modalities, *patch)
        counter = Counter([*network.parameters(), data])
        with counter, mixed_precision(autocast, data.device.type):
            if isinstance(network, HeteroModalVAE):
                # As `fused_for_each` does it for one subset.
                levels = network.fuse(network.encode_each(data, available), 1, patch)
                network.decode(latents(levels, 0, None))
            else:
                network(data)
    return counter.counts


def count_step(
    build: Callable[[], nn.Module],
    modalities: int,
    patch=PATCH,
    batch: int = BATCH,
    autocast: torch.dtype | None = torch.float16,
    subsets: Tensor | None = None,
    counter_of: Callable[[nn.Module, list[Tensor]], Counter] = lambda network, standing: Counter(standing),
    single: float = HeteroModalConfig.single_modality_share,
) -> Counts:
    """What a training step takes.

    Args:
        build: Makes the network.
        modalities: M.
        patch: Voxels along every axis.
        batch: B.
        autocast: Type of mixed precision; None counts in float32.
        subsets: What each sample is shown, ``(B, M)`` bool; default everything.
        counter_of: Makes the counter for a network and what is there before the step.
        single: Share of the samples that ours segments from one modality as well, see the setting
            ``single_modality_share``.
    """
    available = torch.ones(batch, modalities, dtype=torch.bool) if subsets is None else subsets
    sampler = SubsetSampler(Modalities(tuple(f"m{channel}" for channel in range(modalities))), seed=0)
    alone = torch.from_numpy(sampler.draw_singles(available.numpy(), range(batch), single)) if single else None
    with as_on_a_gpu():
        network = build().train()
        data = torch.randn(batch, modalities, *patch)
        levels = level_shapes(patch, strides(patch, len(network.decoder.stages)))
        targets = [torch.zeros(batch, OUTPUTS, *shape) for shape in levels]
        counter = counter_of(network, [*network.parameters(), data, *targets])
        step = training_step(network, data, targets, available, autocast, alone)
        with counter:
            step()  # the first makes the optimiser's state
            counter.restart()
            step()
    return counter.counts
