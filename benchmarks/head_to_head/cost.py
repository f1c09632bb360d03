"""``python -m head_to_head.cost MODELS FILE``: what a training step of each method costs, beside the plain U-Net's.

A step is the trainer's own, on a real batch of its own loader: forward, backward and optimiser, through subsets as it
draws them, without the loading. The methods take turns, step by step, so that what else the machine does falls on all.
Memory is the peak that torch holds in a step with all modalities, each in a fresh process.

MODELS is a JSON file: ``{"dataset": ..., "configuration": ..., "fold": ..., "device": ..., "precision": ...,
"repeats": ..., "models": {NAME: {"trainer": ..., "plans": ...}}}``.
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from measuring.taking_turns import compare, in_fresh_process, peak_bytes
from tqdm import tqdm

from head_to_head.data import CONFIGURATION, DATASET
from head_to_head.precision import train_in
from head_to_head.records import COST_RECORD, COST_WORK
from head_to_head.runs import TrainingRun
from nnunet_hetero.demo.steps import Steps
from nnunet_hetero.io.atomic_files import replace_json
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.subset_sampling import TableDraw

PLAIN = "plain U-Net"
"""Stock nnU-Net with all modalities, the measure of all costs."""

PLAIN_TRAINER = "nnUNetTrainer"


def build(work: Mapping[str, Any], name: str):
    """A trainer, ready to train."""
    from nnunetv2.run.run_training import get_trainer_from_args

    model = work["models"][name]
    device = torch.device(work["device"])
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = get_trainer_from_args(
            str(work["dataset"]), work["configuration"], work["fold"], model["trainer"], model["plans"], device=device
        )
        trainer.initialize()
        train_in(work["precision"], trainer)
        trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
    trainer.network.train()
    return trainer


def step_of(trainer, all_modalities: bool = False) -> Callable[[], object]:
    """One training step on a batch of the trainer's own loader.

    Args:
        trainer: From `build`.
        all_modalities: Whether every sample is seen through all modalities, the dearest subset.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        loader, _ = trainer.get_dataloaders()
        batch = next(loader)
    if all_modalities and hasattr(trainer, "sampler"):
        trainer.sampler.distribution = TableDraw({tuple(range(len(trainer.modalities))): 1.0})
    return lambda: trainer.train_step(batch)


def peak_memory(work: Mapping[str, Any], name: str) -> int:
    """Peak bytes of a training step with all modalities."""
    trainer = build(work, name)
    return peak_bytes(step_of(trainer, all_modalities=True), trainer.network, work["device"], trainer.optimizer)


def describe(trainer) -> dict[str, Any]:
    """What the table's notes say about a method."""
    return {
        "optimizer": type(trainer.optimizer).__name__,
        "lr": trainer.optimizer.param_groups[0]["lr"],
        "schedule": type(trainer.lr_scheduler).__name__,
        "weight_decay": trainer.weight_decay,
        "deep_supervision": bool(trainer.enable_deep_supervision),
        "completes_images": isinstance(trainer.network, HeteroNetwork) and trainer.network.completes_images,
        "parameters": sum(parameter.numel() for parameter in trainer.network.parameters()),
    }


def measure(work: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By method: see `describe`, and ``seconds``, ``cpu_seconds`` (of the processor) and ``memory`` in bytes."""
    trainers = {name: build(work, name) for name in tqdm(work["models"], "Networks")}
    steps = {name: step_of(trainer) for name, trainer in trainers.items()}
    times = compare(steps, work["repeats"], work["device"])
    found = {name: describe(trainer) for name, trainer in trainers.items()}
    for name in tqdm(found, "Memory"):
        wall, cpu = times[name]
        memory = in_fresh_process(peak_memory, work, name)
        found[name] |= {"seconds": wall, "cpu_seconds": cpu, "memory": memory}
    return found


def measured_cost(out: Path, steps: Steps, runs: Sequence[TrainingRun], device: str, repeats: int) -> dict[str, Any]:
    """Cost of a training step of every method and of the plain U-Net; measured anew when a method was not there before.

    Returns:
        ``found`` by method, see `measure`, and ``work`` and ``machine``.
    """
    first = {training.method.name: training for training in reversed(runs)}
    one_each = [first[name] for name in dict.fromkeys(training.method.name for training in runs)]
    models = {PLAIN: {"trainer": PLAIN_TRAINER, "plans": one_each[0].plans}} | {
        training.method.name: {
            "trainer": training.method.trainer,
            "plans": training.plans,
            "record": training.record,
        }
        for training in one_each
    }
    work = {
        "dataset": DATASET,
        "configuration": CONFIGURATION,
        "fold": 0,  # whose cases hardly matters
        "device": device,
        "precision": one_each[0].precision,
        "repeats": repeats,
        "models": models,
    }
    folder = out / "cost"
    folder.mkdir(exist_ok=True)
    measured = sorted(folder.glob("*.measured.json"), key=lambda file: int(file.name.split(".")[0]))
    for file in reversed(measured):
        content = COST_RECORD.read(file)
        if content["work"] == work:
            print(f"    done before: {file}", flush=True)
            return content
    number = len(measured) + 1
    replace_json(folder / f"{number}.json", work)
    file = folder / f"{number}.measured.json"
    command = [sys.executable, "-m", "head_to_head.cost", str(folder / f"{number}.json"), str(file)]
    steps.run(f"cost_{number}", command, timed=True)
    return COST_RECORD.read(file)


def machine_of(device: str) -> str:
    """What the cost is measured on."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.machine()} processor, {torch.get_num_threads()} thread(s)"


def main(models: str, file: str) -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as scratch:
        # A trainer makes a log where models are kept. nnU-Net reads its variables when it is imported, later.
        os.environ |= {"nnUNet_results": scratch, "nnUNet_n_proc_DA": "0"}
        work = COST_WORK.read(models)
        replace_json(file, {"work": work, "machine": machine_of(work["device"]), "found": measure(work)})


if __name__ == "__main__":
    main(*sys.argv[1:])
