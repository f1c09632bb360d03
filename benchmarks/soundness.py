"""Does a long training stay sound? What could drift slowly, over 20 000 steps of a narrow network on phantoms:

    python benchmarks/soundness.py [--steps 20000] [--features 4 8] [--patch 8] [--weight_decay 3e-5] [--out DIR]

The training is `nnunet_hetero train`'s, with the default settings but for its length and the weight decay, on a CPU and
one thread. Every epoch measures what its log holds under ``soundness/`` (`training/record/soundness.py`). Printed are
ten rows, each the worst of a tenth of the training: the largest |log σ²| of a modality, the share of them beyond the
clamp, the largest activation of any convolution, the norm of the weights that no norm follows (at the end of the
tenth), and the means of the losses. Exit code 1 if something ends at a bound or goes on growing, see `drifted`; the
last line is the same as JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}  # before torch is imported

import torch
from measuring.micro_dataset import CONFIGURATION, NAME, PLANS, write_micro_dataset

from nnunet_hetero.nnunet.arguments import whole_number
from nnunet_hetero.training.record.soundness import LARGEST_ACTIVATION
from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer

ROWS = 10
EPOCHS = 40

CLAMPED_LIMIT = 0.01
"""Share of a modality's log-variances beyond the clamp."""

GROWTH_LIMIT = 1.5
"""Norm of the weights without norm at the end, next to the middle of the training."""

WORST, LAST, MEAN = max, lambda values: values[-1], lambda values: sum(values) / len(values)
COLUMNS = {
    "largest |log σ²|": ("soundness/largest_log_variance", WORST),
    "beyond the clamp": ("soundness/clamped_share", WORST),
    "largest activation": ("soundness/largest_activation", WORST),
    "weights without norm": ("soundness/weights_without_norm", LAST),
    "segmentation": ("loss/segmentation", MEAN),
    "reconstruction": ("loss/reconstruction", MEAN),
    "KL": ("loss/kl", MEAN),
}


def train(folder: Path, steps: int, features: Sequence[int], patch: int, settings: Mapping[str, Any]) -> dict:
    """Train, and return the history of every epoch, by name.

    Args:
        folder: Of the data set and the training.
        steps: About how many in all, a whole number of epochs.
        features: Of every level, finest first.
        patch: Edge, voxels.
        settings: Further ones of ours.
    """
    epochs = min(EPOCHS, steps)
    length = {"num_epochs": epochs, "num_iterations_per_epoch": steps // epochs, "num_val_iterations_per_epoch": 1}
    write_micro_dataset(folder, {"seed": 0, **length, **settings}, 2, 15, 32, features, patch)
    preprocessed = folder / "nnUNet_preprocessed" / NAME
    plans = json.loads((preprocessed / f"{PLANS}.json").read_text(encoding="utf-8"))
    dataset = json.loads((preprocessed / "dataset.json").read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    plans["continue_training"] = False  # which nnU-Net's command adds
    trainer = HeteroModalVAETrainer(plans, CONFIGURATION, 0, dataset, torch.device("cpu"))
    trainer.disable_checkpointing = True
    trainer.run_training()
    return trainer.history.values


def rows_of(history: Mapping[str, Mapping[int, float]]) -> list[dict[str, float]]:
    """Ten rows at most, each what a tenth of the epochs has, with the last of them under ``epoch``.

    Args:
        history: By name the value of every epoch.
    """
    epochs = len(history["loss/kl"])
    edges = [round(epochs * part / ROWS) for part in range(ROWS + 1)]
    rows = []
    for start, end in itertools.pairwise(edges):
        if start < end:
            row: dict[str, float] = {"epoch": end}
            for title, (name, take) in COLUMNS.items():
                row[title] = take([history[name][epoch] for epoch in range(start, end)])
            rows.append(row)
    return rows


def drifted(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """What ends at a bound or goes on growing, in words.

    Args:
        rows: From `rows_of`.
    """
    lines = [f"{title} is {rows[-1][title]}" for title in COLUMNS if not math.isfinite(rows[-1][title])]
    clamped, activation = (max(row[title] for row in rows) for title in ("beyond the clamp", "largest activation"))
    if clamped > CLAMPED_LIMIT:
        lines.append(f"{clamped:.2%} of the log-variances are beyond the clamp, limit {CLAMPED_LIMIT:.0%}")
    if activation > LARGEST_ACTIVATION:
        lines.append(f"the largest activation is {activation:.4g}, limit {LARGEST_ACTIVATION:.4g}")
    growth = rows[-1]["weights without norm"] / rows[len(rows) // 2]["weights without norm"]
    if growth > GROWTH_LIMIT:
        lines.append(f"weights without norm grow by {growth:.2f} in the second half, limit {GROWTH_LIMIT}")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print the table and what drifts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=whole_number(1), default=20000)
    parser.add_argument("--features", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--patch", type=int, default=8)
    parser.add_argument("--weight_decay", type=float, help="default: the trainer's")
    parser.add_argument("--out", type=Path, help="keep data set and training here")
    args = parser.parse_args(argv)
    settings = {} if args.weight_decay is None else {"weight_decay": args.weight_decay}
    with tempfile.TemporaryDirectory() as scratch:
        rows = rows_of(train(args.out or Path(scratch), args.steps, args.features, args.patch, settings))
    of_epoch = args.steps // min(EPOCHS, args.steps)
    print(f"\n{'steps':>7}" + "".join(f"{title:>22}" for title in COLUMNS))
    for row in rows:
        print(f"{row['epoch'] * of_epoch:7}" + "".join(f"{row[title]:22.4g}" for title in COLUMNS))
    lines = drifted(rows)
    for line in lines:
        print(f"MISSED: {line}")
    print(json.dumps(rows))
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
