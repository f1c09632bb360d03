"""Everything that differs by device, in one command of minutes: for the day a GPU is there.

    python benchmarks/gpu.py [--device cuda] [--out gpu.json]
    python benchmarks/gpu.py --device cpu            # the same code in small

Ours and nnU-Net's own network take turns at training steps of the full-size plan with mixed precision, as written and
with torch.compile (ours compiles its parts, as its trainer does): seconds, peak of the tensors next to the estimate,
kernels and times the host waits (torch's profiler), compilations after the first steps; the largest activation of every
level of the decoder by type of mixed precision; prediction of a 240×240×155 case from one and from four modalities; a
training continued on the other device. Data are random numbers. Printed is a table; the JSON holds the same and more.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measuring.full_size import (
    BATCH,
    FEATURES,
    OUR_OPTIMIZER,
    OUTPUTS,
    PATCH,
    PLAIN,
    architecture,
    nnunets_network,
    our_network,
    strides,
)
from measuring.full_size import training_step as step_of
from measuring.taking_turns import peak_bytes
from prediction import predictor_of
from torch import nn
from torch.profiler import ProfilerActivity, profile

from nnunet_hetero.inference.engine.case_prediction import predict_preprocessed
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.network.fusing.fusible import restore_fusible
from nnunet_hetero.network.per_modality import level_shapes
from nnunet_hetero.training.memory import training_bytes
from nnunet_hetero.training.optimization.optimizers import OPTIMIZERS

MODALITIES = 4
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
SMALL = {"patch": (32, 32, 32), "features": (16, 32, 64), "case": (48, 48, 40), "steps": 3}
FULL = {"patch": PATCH, "features": FEATURES, "case": (155, 240, 240), "steps": 10}


def networks(setup: dict[str, Any], device: str) -> dict[str, nn.Module]:
    """nnU-Net's and ours for the same plan."""
    plan = architecture(PLAIN, setup["features"], setup["patch"])
    built = {"nnU-Net": nnunets_network(PLAIN, MODALITIES, plan), "ours": our_network(MODALITIES, plan)}
    return {name: network.to(device).train() for name, network in built.items()}


def step_for(network: nn.Module, setup: dict[str, Any], device: str, dtype: torch.dtype | None) -> Callable[[], None]:
    """A training step in which every sample has all modalities."""
    data = torch.randn(BATCH, MODALITIES, *setup["patch"], device=device)
    shapes = level_shapes(setup["patch"], strides(setup["patch"], len(setup["features"])))[:-1]
    targets = [torch.zeros(BATCH, OUTPUTS, *shape, device=device) for shape in shapes]
    return step_of(network, data, targets, torch.ones(BATCH, MODALITIES, dtype=torch.bool), dtype)


def wait_for(device: str) -> None:
    """Until the device has done what it was told."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(call: Callable[[], Any], device: str) -> float:
    """Wall-clock seconds of a call."""
    wait_for(device)
    start = time.perf_counter()
    call()
    wait_for(device)
    return time.perf_counter() - start


def training(setup: dict[str, Any], device: str, compiled: bool) -> dict[str, Any]:
    """Steps of both networks, in turns."""
    torch._dynamo.reset()
    built = networks(setup, device)
    if compiled:
        built["ours"].compile_parts()
        built["nnU-Net"].compile()
    steps = {name: step_for(network, setup, device, mixed(device)) for name, network in built.items()}
    for step in [*steps.values()] * 2:
        step()
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(setup["steps"]):
        for name, step in steps.items():
            taken[name].append(seconds_of(step, device))
    found: dict[str, Any] = {"compilations later": torch._dynamo.utils.counters["stats"]["unique_graphs"] - graphs}
    for name, step in steps.items():
        kernels, waits = profiled(step, device)
        found[name] = {
            "seconds": statistics.median(taken[name]),
            "peak GiB": peak_bytes(step, built[name], device) / 2**30,
            "kernels": kernels,
            "waits": waits,
        }
    estimate = training_bytes(built["ours"], setup["patch"], BATCH, OUR_OPTIMIZER, autocast=mixed(device) is not None)
    found["ours"]["estimate GiB"] = estimate / 2**30
    restore_fusible()
    return found


def mixed(device: str) -> torch.dtype | None:
    """nnU-Net's rule: mixed precision on CUDA only."""
    return torch.float16 if device == "cuda" else None


def profiled(step: Callable[[], None], device: str) -> tuple[int, int]:
    """Kernels that a step starts, and how often the host waits for the device; on a CPU operations, and 0."""
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device == "cuda" else [])
    with profile(activities=kinds) as profiler:
        step()
        wait_for(device)
    names = [event.name for event in profiler.events()]
    if device != "cuda":
        return sum(name.startswith("aten::") for name in names), 0
    launches = sum(name.startswith(("cudaLaunchKernel", "cuLaunchKernel")) for name in names)
    return launches, sum(name in WAITS for name in names) - 1  # one is `wait_for`


def activations(setup: dict[str, Any], device: str) -> dict[str, dict[str, float]]:
    """Largest activation of every level of our decoder, finest last, by type; infinite where the type overflows."""
    found = {}
    for dtype in (torch.float16, torch.bfloat16):
        network, largest = networks(setup, device)["ours"], {}
        for level, stage in enumerate(network.decoder.stages):
            stage.register_forward_hook(partial(note_largest, largest, level))
        data = torch.randn(1, MODALITIES, *setup["patch"], device=device)
        with torch.no_grad(), torch.autocast(device, dtype=dtype):
            network(data, torch.ones(1, MODALITIES, dtype=torch.bool))
        found[str(dtype).removeprefix("torch.")] = {f"level {level}": value for level, value in largest.items()}
    return found


def note_largest(
    largest: dict[int, float], level: int, module: nn.Module, arguments: Any, output: torch.Tensor
) -> None:
    """A hook of a level of the decoder."""
    largest[level] = float(output.abs().max())


def prediction(setup: dict[str, Any], device: str) -> dict[str, float]:
    """Seconds for a case, without mirroring."""
    args = argparse.Namespace(patch=setup["patch"][0], features=list(setup["features"])[:4], device=device, batch=1)
    predictor = predictor_of("hetero", args)
    predictor.use_mirroring = False
    whole = torch.randn(MODALITIES, *setup["case"])
    found = {}
    for number in (1, MODALITIES):
        data = whole * (torch.arange(MODALITIES) < number).view(-1, 1, 1, 1)
        for draws, completed in ((0, None), (0, "all"), (10, None), (10, "all")):
            options = SamplingOptions(draws, save_completed=completed)
            name = f"{number} of {MODALITIES}, {draws} draws{', completes all' if completed else ''}"
            found[name] = seconds_of(lambda data=data, options=options: predict(predictor, data, options), device)
    return found


def predict(predictor, data: torch.Tensor, options: SamplingOptions) -> None:
    """Of one case."""
    predict_preprocessed(predictor.model, data, "case", options)


def resumed(setup: dict[str, Any], device: str) -> bool:
    """Whether weights and optimiser of a step on the device continue on the CPU."""
    network = networks(setup, device)["ours"]
    step_for(network, setup, device, mixed(device))()
    other = networks({**SMALL, "features": setup["features"], "patch": setup["patch"]}, "cpu")["ours"]
    other.load_state_dict({name: value.cpu() for name, value in network.state_dict().items()})
    optimizer = OPTIMIZERS.get("Muon")(network, 5e-3, 0.0)
    network.zero_grad(set_to_none=True)
    sum(parameter.square().sum() for parameter in network.parameters()).backward()
    optimizer.step()
    continued = OPTIMIZERS.get("Muon")(other, 5e-3, 0.0)
    continued.load_state_dict(optimizer.state_dict())
    sum(parameter.square().sum() for parameter in other.parameters()).backward()
    continued.step()
    return all(bool(torch.isfinite(parameter).all()) for parameter in other.parameters())


def main() -> int:
    """Measure, print a table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    args = parser.parse_args()
    setup = FULL if args.device == "cuda" else SMALL
    result: dict[str, Any] = {"device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu"}
    print(f"{result['device']}, patch {'×'.join(map(str, setup['patch']))}, features {setup['features']}")
    print(f"{'':30}{'s/step':>9}{'peak GiB':>10}{'estimate':>10}{'kernels':>9}{'waits':>7}")
    for title in ["as written"] + ([] if args.no_compile else ["compiled"]):
        found = result[title] = training(setup, args.device, title == "compiled")
        for name in ("nnU-Net", "ours"):
            row = found[name]
            estimate = f"{row['estimate GiB']:.2f}" if "estimate GiB" in row else ""
            print(
                f"{title + ', ' + name:30}{row['seconds']:9.3f}{row['peak GiB']:10.2f}{estimate:>10}{row['kernels']:9}"
                f"{row['waits']:7}",
                flush=True,
            )
    result["largest activations"] = activations(setup, args.device)
    result["prediction"] = prediction(setup, args.device)
    for name, seconds in result["prediction"].items():
        print(f"prediction from {name:40}{seconds:9.2f} s")
    result["continues on the CPU"] = resumed(setup, args.device)
    overflows = []
    for kind, levels in result["largest activations"].items():
        overflows += [f"{kind}, {level}" for level, value in levels.items() if not value < float("inf")]
    print(f"overflows: {', '.join(overflows) or 'none'}; continues on the CPU: {result['continues on the CPU']}")
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if result["continues on the CPU"] and not overflows else 1


if __name__ == "__main__":
    sys.exit(main())
