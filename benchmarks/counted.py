"""Memory, bytes moved, arithmetic and kernels of a full-size training step, counted without a GPU, next to nnU-Net's.

    python benchmarks/counted.py [--plans plain ResEnc] [--modalities 1 4 8] [--compiled] [--parts] [--single SHARE]

Counted on fake tensors, see `counting`: 6 levels of 32 to 320 features, patch 128×160×112, batch 2, autocast in
float16, every sample with all modalities, losses and optimiser included. ``estimate`` is what `nnunet_hetero plan`
says. With ``--compiled`` the arithmetic of the fusion counts as the kernels that torch.compile makes of it, as in a
training on a GPU with nnU-Net's default settings; all else, nnU-Net's network too, as it is written. A limit that is
missed is exit code 1; the last line is the same as JSON.
With ``--parts`` the bytes moved are told by part of the network, forward and backward together.
``--single`` says which share of the samples is segmented from one modality as well (the setting
``single_modality_share``); 0 is none.
``tile`` is the peak of the segmentation of one tile of a case, from all modalities and without gradients.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext

from measuring.counting import Counts, counted_as_kernels
from measuring.full_size import (
    BATCH,
    OUR_OPTIMIZER,
    PATCH,
    PLAIN,
    RESIDUAL,
    architecture,
    count_prediction,
    count_step,
    nnunets_network,
    our_network,
)
from measuring.parts import PARTS, PartsCounter

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.training.memory import training_bytes

PEAK_LIMITS = {4: 1.25, 8: 1.6}
"""By number of modalities, next to nnU-Net's network, of the default plan."""

MOVED_LIMIT, ESTIMATE_LIMIT, PREDICTION_LIMIT = 1.5, 0.15, 1.5


def measure(kind: str, modalities: int, compiled: bool, single: float) -> dict[str, float]:
    """What ours takes for a plan, and its ratios to nnU-Net's."""
    plan, networks = architecture(kind), []

    def build():
        networks.append(our_network(modalities, plan))
        return networks[0]

    base = count_step(lambda: nnunets_network(kind, modalities, plan), modalities, counter_of=PartsCounter)
    with counted_as_kernels() if compiled else nullcontext():
        ours = count_step(build, modalities, counter_of=PartsCounter, single=single)
    estimate = training_bytes(networks[0], PATCH, BATCH, OUR_OPTIMIZER, autocast=True)
    base_tile = count_prediction(lambda: nnunets_network(kind, modalities, plan), modalities)
    tile = count_prediction(lambda: our_network(modalities, plan), modalities)
    return {
        **{f"nnU-Net {name}": value for name, value in numbers(base).items()},
        **numbers(ours),
        "estimate GiB": round(estimate / 2**30, 2),
        "peak ratio": round(ours.peak_bytes / base.peak_bytes, 3),
        "moved ratio": round(ours.moved_bytes / base.moved_bytes, 3),
        "arithmetic ratio": round(ours.operations / base.operations, 3),
        "estimate off": round(estimate / ours.peak_bytes - 1, 3),
        "tile GiB": round(tile.peak_bytes / 2**30, 2),
        "tile ratio": round(tile.peak_bytes / base_tile.peak_bytes, 3),
        **{f"moved GB, {part}": round(ours.by_phase[part] / 1e9, 1) for part in PARTS},
        **{f"nnU-Net moved GB, {part}": round(base.by_phase[part] / 1e9, 1) for part in PARTS},
    }


def describe_parts(found: dict[str, float]) -> list[str]:
    """A line for each part: what it moves, next to what that of nnU-Net's network moves."""
    return [
        f"{'':6}{part:48}{found[f'moved GB, {part}']:8.1f} GB{found[f'nnU-Net moved GB, {part}']:8.1f} GB"
        for part in PARTS
    ]


def numbers(counts: Counts) -> dict[str, float]:
    """In the units of the table."""
    return {
        "peak GiB": round(counts.peak_bytes / 2**30, 2),
        "moved GB": round(counts.moved_bytes / 1e9, 1),
        "TFLOP": round(counts.operations / 1e12, 2),
        "kernels": counts.kernels,
        "atomic kernels": counts.atomic_kernels,
    }


def missed(kind: str, modalities: int, found: dict[str, float]) -> list[str]:
    """Which limits, in words."""
    lines = []
    limit = PEAK_LIMITS.get(modalities) if kind == PLAIN else None
    if limit is not None and found["peak ratio"] > limit:
        lines.append(f"{kind}, {modalities}: peak {found['peak ratio']:.2f} of nnU-Net's, limit {limit}")
    if kind == PLAIN and modalities == 4 and found["moved ratio"] > MOVED_LIMIT:
        lines.append(f"{kind}, {modalities}: bytes moved {found['moved ratio']:.2f} of nnU-Net's, limit {MOVED_LIMIT}")
    if abs(found["estimate off"]) > ESTIMATE_LIMIT:
        lines.append(f"{kind}, {modalities}: estimate {found['estimate off']:+.0%} of what is counted, limit 15 %")
    if kind == PLAIN and found["tile ratio"] > PREDICTION_LIMIT:
        lines.append(
            f"{kind}, {modalities}: prediction of a tile {found['tile ratio']:.2f} of nnU-Net's peak, limit "
            f"{PREDICTION_LIMIT}"
        )
    return lines


def main() -> int:
    """Print the table and what is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", nargs="+", choices=(PLAIN, RESIDUAL), default=[PLAIN])
    parser.add_argument("--modalities", nargs="+", type=int, default=[4, 8])
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--parts", action="store_true", help="print the bytes moved by part, ours and nnU-Net's")
    parser.add_argument(
        "--single",
        type=float,
        default=HeteroModalConfig.single_modality_share,
        metavar="SHARE",
        help="of the samples, segmented from one modality as well (%(default)s)",
    )
    args = parser.parse_args()
    result, lines = {}, []
    print(f"{'':14}{'peak GiB':>18}{'moved GB':>18}{'TFLOP':>16}{'kernels':>16}{'estimate':>10}{'tile GiB':>14}")
    for kind in args.plans:
        for modalities in args.modalities:
            found = result[f"{kind}, {modalities}"] = measure(kind, modalities, args.compiled, args.single)
            cells = [f"{found[name]:g} ({found[f'{name.split()[0]} ratio']:.2f})" for name in ("peak GiB", "moved GB")]
            cells += [f"{found['TFLOP']:g} ({found['arithmetic ratio']:.2f})"]
            print(
                f"{kind + ', ' + str(modalities):14}{cells[0]:>18}{cells[1]:>18}{cells[2]:>16}{found['kernels']:>16}"
                f"{found['estimate off']:>+10.1%}{found['tile GiB']:>7g} ({found['tile ratio']:.2f})",
                flush=True,
            )
            if args.parts:
                print("\n".join(describe_parts(found)))
            lines += missed(kind, modalities, found)
    print("In brackets: next to nnU-Net's network of the same plan.")
    for line in lines:
        print(f"MISSED: {line}")
    print(json.dumps(result))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
