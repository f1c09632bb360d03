"""Time and memory of the prediction of a case, next to nnU-Net's own predictor with its own network for the same plan.

    python benchmarks/prediction.py [--features 32 64 128 256] [--patch 40] [--repeats 3] [--device cpu]

All predict the same case of two tiles with mirroring along all axes (8 views), through the whole sliding window. They
take turns, so that what else the machine does falls on all. Printed are medians and the ratios that have a limit; the
processor time is what other programs disturb least. Memory is the peak that torch holds, next to that of a training
step. With completion the samples that go through the image decoder are counted, next to draws times tiles.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping

import torch
from measuring.taking_turns import compare, peak_bytes
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from step import MODALITIES, build, measure_memory

from nnunet_hetero.inference.engine.case_prediction import predict_preprocessed
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor

DATASET_JSON = {
    "channel_names": {str(channel): name for channel, name in enumerate(MODALITIES.names)},
    "labels": {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]},
    "regions_class_order": [1, 2, 3],
    "file_ending": ".nii.gz",
}


def predictor_of(kind: str, args: argparse.Namespace) -> nnUNetPredictor:
    """``plain``: nnU-Net's predictor and network; ``hetero``: ours. Weights are random."""
    plans = PlansManager(
        {
            "plans_name": "benchmark",
            "label_manager": "LabelManager",
            "foreground_intensity_properties_per_channel": {},
            "configurations": {"3d_fullres": {"patch_size": [args.patch] * 3, "architecture": {}}},
        }
    )
    network = build(kind, args).eval()
    network.decoder.deep_supervision = False
    predictor = (nnUNetPredictor if kind == "plain" else HeteroModalPredictor)(
        device=torch.device(args.device), allow_tqdm=False
    )
    configuration = plans.get_configuration("3d_fullres")
    predictor.manual_initialization(
        network, plans, configuration, [network.state_dict()], DATASET_JSON, kind, (0, 1, 2)
    )
    return predictor


def case_of(args: argparse.Namespace) -> torch.Tensor:
    """Four modalities of a case that needs two tiles."""
    return torch.randn(len(MODALITIES), args.patch, args.patch, args.patch * 3 // 2)


def calls_of(args: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    plain, hetero, case = predictor_of("plain", args), predictor_of("hetero", args), case_of(args)
    single = case * torch.tensor([0.0, 0.0, 0.0, 1.0])[:, None, None, None]

    def predict(data: torch.Tensor, num_samples: int, completed: str | None = None) -> Callable[[], object]:
        sampling = SamplingOptions(num_samples, save_completed=completed)
        return lambda: predict_preprocessed(hetero.model, data, "case", sampling, voxel_volume=0.001)

    return {
        "nnU-Net, 4 channels": lambda: plain.predict_logits_from_preprocessed_data(case),
        "S=0, 4 modalities": predict(case, 0),
        "S=0, 1 modality": predict(single, 0),
        "S=10, 4 modalities": predict(case, 10),
        "S=10, 4, completes 4": predict(case, 10, "all"),
        "S=0, 1, completes 3": predict(single, 0, "missing"),
    }


LIMITS = {
    "S=10 / S=0": ("S=10, 4 modalities", "S=0, 4 modalities", 2.0),
    "S=0 / nnU-Net": ("S=0, 4 modalities", "nnU-Net, 4 channels", 1.25),
    "1 modality / nnU-Net": ("S=0, 1 modality", "nnU-Net, 4 channels", 1.0),
    "S=10 with completion / without": ("S=10, 4, completes 4", "S=10, 4 modalities", 1.5),
    "S=0 with completion / without": ("S=0, 1, completes 3", "S=0, 1 modality", 1.5),
}


def image_decoder_passes(args: argparse.Namespace) -> dict[str, float]:
    """Samples that the image decoder is given for all images of a case, next to draws (2 for each view) × tiles."""
    predictor, case, samples = predictor_of("hetero", args), case_of(args), []
    decoder = predictor.network.image_decoder
    hook = decoder.register_forward_pre_hook(lambda module, arguments: samples.append(len(arguments[0][0])))
    predict_preprocessed(predictor.model, case, "case", SamplingOptions(10, save_completed="all"))
    hook.remove()
    draws, tiles = 16, 2
    return {"ratio": sum(samples) / (draws * tiles), "limit": 1.0}


def prediction_memory(args: argparse.Namespace) -> int:
    """Peak bytes that torch holds in the dearest prediction."""
    return peak_bytes(calls_of(args)["S=10, 4, completes 4"], build("hetero", args), args.device)


def main() -> int:
    """Print times, ratios and memory; the last line is the same as JSON. The exit code is 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--patch", type=int, default=40, help="edge in voxels")
    parser.add_argument("--batch", type=int, default=2, help="of the training step whose memory is the limit")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    print(f"features {args.features}, patch {args.patch}³, 2 tiles, 8 views, {args.device}, {args.threads} thread(s)")

    times = compare(calls_of(args), args.repeats, args.device)
    print(f"\n{'':34}{'wall [s]':>10}{'cpu [s]':>10}")
    for name, (wall, cpu) in times.items():
        print(f"{name:34}{wall:10.2f}{cpu:10.2f}")

    print(f"\n{'ratio':34}{'wall':>10}{'cpu':>10}{'limit':>10}")
    ratios = {}
    for name, (above, below, limit) in LIMITS.items():
        wall, cpu = (times[above][clock] / times[below][clock] for clock in (0, 1))
        ratios[name] = {"wall": round(wall, 3), "cpu": round(cpu, 3), "limit": limit}
        print(f"{name:34}{wall:10.2f}{cpu:10.2f}{limit:10.2f}")

    memory = {"prediction": prediction_memory(args), "training step": measure_memory("hetero", args)}
    passes = ratios["image decoder / draws × tiles"] = image_decoder_passes(args)
    print(f"{'image decoder / draws × tiles':34}{passes['ratio']:20.2f}{passes['limit']:10.2f}")
    ratios["memory"] = {"ratio": round(memory["prediction"] / memory["training step"], 3), "limit": 1.0}
    mebibytes = ", ".join(f"{name} {value / 2**20:.0f} MiB" for name, value in memory.items())
    print(f"\npeak memory: {mebibytes}, ratio {ratios['memory']['ratio']:.2f} (limit 1)")
    missed = missed_limits(ratios, "wall" if args.device == "cuda" else "cpu")
    for line in missed:
        print(f"MISSED: {line}")
    print(json.dumps(ratios))
    return 1 if missed else 0


def missed_limits(ratios: Mapping[str, Mapping[str, float]], clock: str) -> list[str]:
    """Which ratios are above their limits, in words.

    Args:
        ratios: By name, each with its ``limit`` and either a ``ratio`` or one for each clock.
        clock: ``wall`` or ``cpu``.
    """
    found = {name: (entry.get("ratio", entry.get(clock, 0.0)), entry["limit"]) for name, entry in ratios.items()}
    return [f"{name}: {ratio:.2f}, limit {limit:g}" for name, (ratio, limit) in found.items() if ratio > limit]


if __name__ == "__main__":
    sys.exit(main())
