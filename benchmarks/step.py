"""Time and memory of a training step and of a prediction, next to nnU-Net's own network for the same plan and batch.

    python benchmarks/step.py [--features 32 64 128 256] [--patch 40] [--batch 2] [--repeats 9] [--device cpu]

Both networks take turns, step by step, so that what else the machine does falls on both. Printed are medians and the
ratios of the medians; on a CPU also processor time, which other programs disturb less than the clock. Memory is the
peak of what torch's allocator holds in a training step with all modalities.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from measuring.taking_turns import compare, in_fresh_process, peak_bytes
from torch import nn

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.network.hetero_modal import HeteroModalVAE
from nnunet_hetero.subset_sampling import SubsetSampler, TableDraw
from nnunet_hetero.training.optimization.losses import masked_l2

MODALITIES = Modalities(("T1", "T1c", "T2", "FLAIR"))
OUTPUTS = 3
STEP_LIMIT = 1.0
"""A training step, next to nnU-Net's network; a missed limit is exit code 1."""


def architecture(features: list[int]) -> dict:
    """What nnU-Net's planner writes for an isotropic 3D patch."""
    stages = len(features)
    return {
        "n_stages": stages,
        "features_per_stage": features,
        "conv_op": nn.Conv3d,
        "kernel_sizes": [[3, 3, 3]] * stages,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        "n_conv_per_stage": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
        "conv_bias": True,
        "norm_op": nn.InstanceNorm3d,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
    }


def build(kind: str, args: argparse.Namespace) -> nn.Module:
    """``plain``: nnU-Net's network; ``hetero``: ours."""
    if kind == "plain":
        network = PlainConvUNet(
            len(MODALITIES), num_classes=OUTPUTS, deep_supervision=True, **architecture(args.features)
        )
    else:
        network = HeteroModalVAE(architecture(args.features), len(MODALITIES), OUTPUTS, True, HeteroModalConfig())
    return network.to(args.device)


def training_step(network: nn.Module, data: torch.Tensor, sampler: SubsetSampler) -> Callable[[], None]:
    """A step without the optimiser, which costs both networks the same per parameter."""
    present = torch.ones(len(data), len(MODALITIES), dtype=torch.bool)
    target = (data[:, :OUTPUTS] > 1).float()

    def segmentation_loss(outputs) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(outputs[0], target) + sum(
            o.sigmoid().mean() for o in outputs
        )

    def step() -> None:
        network.zero_grad(set_to_none=True)
        with torch.autocast("cuda", enabled=data.is_cuda):
            if isinstance(network, HeteroModalVAE):
                drawn = torch.from_numpy(sampler.draw(present.numpy()))
                single = sampler.draw_singles(drawn.numpy(), range(len(data)), HeteroModalConfig.single_modality_share)
                output = network(data, drawn, full=True, single=torch.from_numpy(single))
                loss = segmentation_loss(output.segmentation) + 0.1 * output.kl
                loss = loss + sum(level.sigmoid().mean() for level in output.single.segmentation)
                loss = loss + 0.1 * masked_l2(output.completion, data, present.to(data.device))
            else:
                loss = segmentation_loss(network(data))
        loss.backward()

    return step


def peak_memory(kind: str, args: argparse.Namespace) -> int:
    """Peak bytes that torch holds in a training step."""
    torch.set_num_threads(args.threads)
    network, data = build(kind, args), torch.randn(args.batch, len(MODALITIES), *[args.patch] * 3, device=args.device)
    # All modalities in every sample: the dearest step that training can draw.
    step = training_step(network, data, SubsetSampler(MODALITIES, TableDraw({(0, 1, 2, 3): 1.0})))
    return peak_bytes(step, network, args.device)


def measure_memory(kind: str, args: argparse.Namespace) -> int:
    """`peak_memory` in a fresh process."""
    return in_fresh_process(peak_memory, kind, args)


def main() -> int:
    """Print both sides and their ratios; the last line is the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--patch", type=int, default=40, help="edge in voxels")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    data = torch.randn(args.batch, len(MODALITIES), *[args.patch] * 3, device=args.device)
    networks = {kind: build(kind, args) for kind in ("plain", "hetero")}
    print(f"features {args.features}, patch {args.patch}³, batch {args.batch}, {args.device}, {args.threads} thread(s)")
    print(f"parameters: { ({kind: sum(p.numel() for p in n.parameters()) for kind, n in networks.items()}) }")

    sampler = SubsetSampler(MODALITIES, seed=0)
    steps = {kind: training_step(network.train(), data, sampler) for kind, network in networks.items()}
    training = compare(steps, args.repeats, args.device)
    memory = {kind: measure_memory(kind, args) for kind in networks}

    for network in networks.values():
        network.eval()
        network.decoder.deep_supervision = False
    one = data[:1]

    @torch.inference_mode()
    def predict(network: nn.Module, x: torch.Tensor) -> None:
        network(x)

    calls = {"plain, 4 channels": lambda: predict(networks["plain"], one)}
    for size in (4, 2, 1):
        x = one * torch.from_numpy(np.arange(4) < size).to(one)[None, :, None, None, None]
        calls[f"hetero, {size} modalities"] = lambda x=x: predict(networks["hetero"], x)
    prediction = compare(calls, args.repeats, args.device)

    print(f"\n{'':28}{'wall [s]':>10}{'ratio':>8}{'cpu [s]':>10}{'ratio':>8}")
    ratios = {}
    for title, table in (("training step", training), ("prediction of a tile", prediction)):
        base = next(iter(table.values()))
        for name, (wall, cpu) in table.items():
            ratios[f"{title}: {name}"] = {"wall": round(wall / base[0], 3), "cpu": round(cpu / base[1], 3)}
            print(f"{title[:10] + ' ' + name:28}{wall:10.3f}{wall / base[0]:8.2f}{cpu:10.3f}{cpu / base[1]:8.2f}")
    ratios["memory"] = round(memory["hetero"] / memory["plain"], 3)
    mebibytes = ", ".join(f"{kind} {value / 2**20:.0f} MiB" for kind, value in memory.items())
    print(f"\npeak memory of a training step: {mebibytes}, ratio {ratios['memory']:.2f}")
    print(json.dumps(ratios))
    clock = "wall" if args.device == "cuda" else "cpu"
    ratio = ratios["training step: hetero"][clock]
    if ratio > STEP_LIMIT:
        print(f"MISSED: training step {ratio:.2f} of nnU-Net's, limit {STEP_LIMIT}")
    return int(ratio > STEP_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
