"""What each level of the latents contributes: its divergence from the prior, and the Dice without it.

    python benchmarks/levels.py --model MODEL_FOLDER [--fold 0] [--device cpu]

A level at the prior (a divergence near 0 nats) says nothing, and the segmentation is the same without it. The cases
that the fold held out are segmented from every subset of their modalities, from the posterior's mean and without
mirroring: with all levels, then with the prior in place of the deepest level, of the two deepest, and so on, the finest
always kept. The divergence is ½ (μ² + σ² - log σ² - 1), the mean over the latents of all tiles. nnU-Net's variables
must be set.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import torch

from nnunet_hetero.evaluation.sweep.model import evaluate_model
from nnunet_hetero.evaluation.sweep.request import EvaluationRequest
from nnunet_hetero.evaluation.sweep.summary import as_number
from nnunet_hetero.evaluation.sweep.table import markdown_of
from nnunet_hetero.network.fusion import Gaussian, kl_to_standard_normal
from nnunet_hetero.network.variational import VariationalNetwork
from nnunet_hetero.nnunet.environment import set_ext_trainer


class Found(NamedTuple):
    """One evaluation of a fold.

    Attributes:
        dice: The mean over cases, then regions and subsets, in %.
        nats: Mean divergence per element, by level (0 is the finest) and number of modalities.
    """

    dice: float
    nats: dict[int, dict[int, float]]


def watched(removed: Collection[int], nats: Mapping[tuple[int, int], list[float]]) -> Callable[..., Gaussian]:
    """`VariationalNetwork.fuse` that takes note of the divergence and replaces levels by the prior.

    Args:
        removed: The levels to replace, 0 is the finest.
        nats: By level and number of modalities, the list that the divergence of each call is added to.
    """
    fuse = VariationalNetwork.fuse

    def watched_fuse(network, encoded, *arguments):
        encoded = list(encoded)
        posteriors = fuse(network, encoded, *arguments)
        for level, posterior in enumerate(posteriors):
            nats[level, len(encoded)].append(kl_to_standard_normal([posterior]).item())
            if level in removed:
                posteriors[level] = Gaussian(*map(torch.zeros_like, posterior))
        return posteriors

    return watched_fuse


def measure(model: Path, fold: str, device: torch.device, removed: Collection[int] = ()) -> Found:
    """Evaluate a fold with some levels at the prior."""
    nats = defaultdict(list)
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(VariationalNetwork, "fuse", watched(removed, nats)),
    ):
        request = EvaluationRequest(model, [fold], output=folder, device=device, mirroring=False, step_size=1.0)
        result = evaluate_model(request)
    by_level: dict[int, dict[int, float]] = defaultdict(dict)
    for (level, number), values in sorted(nats.items()):
        by_level[level][number] = float(np.mean(values))
    return Found(100 * as_number(result.summary.overall.mean), dict(by_level))


def report(whole: Found, without: Mapping[int, Found]) -> str:
    """A table with a row for each level.

    Args:
        whole: With all levels.
        without: Without a level and all deeper ones, by that level.
    """
    numbers = sorted({number for nats in whole.nats.values() for number in nats})
    rows = [["level", *(f"nats, {number} present" for number in numbers), "Dice [%] without it and deeper"]]
    for level, nats in whole.nats.items():
        dice = f"{without[level].dice:.1f}" if level in without else "-"
        rows.append([f"{level + 1}", *(f"{nats[number]:.2f}" for number in numbers), dice])
    return f"{markdown_of(rows, texts=1)}\n\nDice with all levels: {whole.dice:.1f} %"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", required=True, type=Path, help="nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION"
    )
    parser.add_argument("--fold", default="0")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    set_ext_trainer()
    device = torch.device(args.device)
    whole = measure(args.model, args.fold, device)
    if not whole.nats:
        parser.error(f"{args.model} has no latents; give one of HeteroModalVAETrainer.")
    deepest = max(whole.nats)
    without = {
        level: measure(args.model, args.fold, device, range(level, deepest + 1)) for level in range(deepest, 0, -1)
    }
    print(report(whole, without))


if __name__ == "__main__":
    main()
