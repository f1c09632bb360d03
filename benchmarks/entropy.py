"""Does the model know where it is wrong? On cases with labels, under all subsets of the modalities:

    python benchmarks/entropy.py --model MODEL_FOLDER -i IMAGES -l LABELS -o OUT [--device cpu] [--num_samples 10]

* Spearman correlation of a case's disagreement (1 - Dice between the draws) with its true Dice, per region;
* expected calibration error of the region probabilities in the brain (10 bins of equal width; per bin the mean
  probability against the share of voxels that are in the region);
* the error rate by entropy, and the risk-coverage curve: the error rate of the voxels that are left when the most
  uncertain ones are set aside, next to a random order (flat) and the best possible one.

Whether intervals of volumes hold says uncertainty.py.

Written: cases.csv (one row per case, subset and region), summary.json, risk_coverage.png, calibration.png.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from nnunetv2.evaluation.evaluate_predictions import region_or_label_to_mask
from scipy.stats import spearmanr
from tqdm import tqdm

from nnunet_hetero.evaluation.scores.overlap import dice_per_region
from nnunet_hetero.evaluation.sweep.labelled import folder_cases
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.atomic_files import replace_json, replace_text, replacing
from nnunet_hetero.modalities import all_subsets
from nnunet_hetero.nnunet.regions import regions_of

PROBABILITY_BINS, ENTROPY_BINS = 10, 500
LARGEST_ENTROPY = float(np.log(2))


class Voxels:
    """Counts over the brain voxels of all cases and subsets, for one region."""

    def __init__(self) -> None:
        self.count, self.inside, self.probability = (np.zeros(PROBABILITY_BINS) for _ in range(3))
        self.by_entropy, self.wrong = np.zeros(ENTROPY_BINS), np.zeros(ENTROPY_BINS)

    def add(self, probability: np.ndarray, entropy: np.ndarray, predicted: np.ndarray, truth: np.ndarray) -> None:
        """Add voxels, each array ``(n,)``."""
        place = np.minimum((probability * PROBABILITY_BINS).astype(int), PROBABILITY_BINS - 1)
        for total, weights in ((self.count, None), (self.inside, truth), (self.probability, probability)):
            total += np.bincount(place, weights, PROBABILITY_BINS)
        place = np.clip((entropy / LARGEST_ENTROPY * ENTROPY_BINS).astype(int), 0, ENTROPY_BINS - 1)
        self.by_entropy += np.bincount(place, minlength=ENTROPY_BINS)
        self.wrong += np.bincount(place, predicted != truth, ENTROPY_BINS)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error, 0 to 1."""
        return float(np.abs(self.inside - self.probability).sum() / self.count.sum())

    def risk_coverage(self) -> tuple[np.ndarray, np.ndarray]:
        """Share of voxels kept, the most certain first, and the error rate among them."""
        kept = np.cumsum(self.by_entropy)
        filled = self.by_entropy > 0
        return (kept / kept[-1])[filled], (np.cumsum(self.wrong) / np.maximum(kept, 1))[filled]

    def error_by_entropy(self, limits: tuple[float, ...] = (0.01, 0.1, 0.3, 0.5)) -> dict[str, float]:
        """Error rate of the voxels between limits of the entropy, in nats."""
        edges = np.linspace(0, LARGEST_ENTROPY, ENTROPY_BINS, endpoint=False)
        groups = np.digitize(edges, limits)
        names = [
            f"below {limits[0]}",
            *(f"{a} to {b}" for a, b in itertools.pairwise(limits)),
            f"from {limits[-1]}",
        ]
        return {
            name: float(self.wrong[groups == i].sum() / max(self.by_entropy[groups == i].sum(), 1))
            for i, name in enumerate(names)
        }


def measure(predictor: HeteroModalPredictor, images: str, labels: str) -> tuple[list[dict], dict[str, Voxels]]:
    """Predict every case from every subset that it has, and compare with its label map."""
    reader = predictor.plans_manager.image_reader_writer_class()
    regions = regions_of(predictor.label_manager)
    names = predictor.modalities.names
    voxels = {name: Voxels() for name in regions}
    rows: list[dict] = []
    cases = folder_cases(images, labels, predictor.modalities, predictor.dataset_json["file_ending"])
    work = [(entry, subset) for entry in cases for subset in all_subsets(len(names))]
    for entry, subset in tqdm(work, desc="Cases × subsets"):
        files = {names[channel]: entry.case.files[channel] for channel in subset}
        if None in files.values():
            continue
        result = predictor.predict(files, case=entry.case.name)
        truth, _ = reader.read_seg(entry.label)
        brain = reader.read_images([next(file for file in entry.case.files if file)])[0][0] != 0
        dice = dice_per_region(result.segmentation, truth[0], regions)
        for place, (name, region) in enumerate(regions.items()):
            channel = place if predictor.label_manager.has_regions else region
            predicted, real = (
                region_or_label_to_mask(labels, region)[brain] for labels in (result.segmentation, truth[0])
            )
            voxels[name].add(result.probabilities[channel][brain], result.entropy[name][brain], predicted, real)
            rows.append(
                {
                    "case": entry.case.name,
                    "subset": predictor.modalities.label(subset),
                    "region": name,
                    "dice": dice[name],
                    "disagreement": result.disagreement[name],
                }
            )
    return rows, voxels


def summarise(rows: list[dict], voxels: dict[str, Voxels]) -> dict[str, dict]:
    """The numbers of each region."""
    summary = {}
    for name, counts in voxels.items():
        own = [row for row in rows if row["region"] == name and not np.isnan(row["dice"])]
        correlation = spearmanr([row["disagreement"] for row in own], [row["dice"] for row in own])
        summary[name] = {
            "predictions": len(own),
            "spearman_disagreement_dice": float(correlation.statistic),
            "p_value": float(correlation.pvalue),
            "expected_calibration_error": counts.calibration_error,
            "error_rate": float(counts.wrong.sum() / counts.by_entropy.sum()),
            "error_rate_by_entropy": counts.error_by_entropy(),
        }
    return summary


def draw(voxels: dict[str, Voxels], out: Path) -> None:
    """The risk-coverage curves and the reliability diagrams."""
    figure = Figure(figsize=(4.2 * len(voxels), 3.6), layout="constrained")
    for axes, (name, counts) in zip(figure.subplots(1, len(voxels), squeeze=False)[0], voxels.items(), strict=True):
        coverage, risk = counts.risk_coverage()
        rate = counts.wrong.sum() / counts.by_entropy.sum()
        best = np.maximum(0, 1 - (1 - rate) / np.linspace(0.5, 1, 500))
        axes.plot(coverage, risk, label="most certain first")
        axes.axhline(rate, color="gray", linestyle=":", label="random order")
        axes.plot(np.linspace(0.5, 1, 500), best, color="gray", linestyle="--", label="best possible")
        axes.set(
            title=name, xlabel="share of brain voxels kept", ylabel="error rate", xlim=(0.8, 1.0), ylim=(0, 1.5 * rate)
        )
        axes.legend(fontsize=8)
    with replacing(out / "risk_coverage.png") as stream:
        figure.savefig(stream, format="png", dpi=120)
    figure = Figure(figsize=(4.2 * len(voxels), 3.8), layout="constrained")
    for axes, (name, counts) in zip(figure.subplots(1, len(voxels), squeeze=False)[0], voxels.items(), strict=True):
        filled = counts.count > 0
        axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
        axes.plot(
            counts.probability[filled] / counts.count[filled], counts.inside[filled] / counts.count[filled], marker="o"
        )
        title = f"{name}: ECE {100 * counts.calibration_error:.2f} %"
        axes.set(title=title, xlabel="predicted probability", ylabel="share in the region", xlim=(0, 1), ylim=(0, 1))
    with replacing(out / "calibration.png") as stream:
        figure.savefig(stream, format="png", dpi=120)


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION")
    parser.add_argument("-i", required=True, metavar="IMAGES")
    parser.add_argument("-l", required=True, metavar="LABELS")
    parser.add_argument("-o", required=True, metavar="OUT", type=Path)
    parser.add_argument("--folds", nargs="+", default=None)
    parser.add_argument("--device", default=None)
    parser.add_argument("--num_samples", type=int, default=10)
    args = parser.parse_args()
    options = PredictionOptions(sampling=SamplingOptions(args.num_samples, save_uncertainty=True))
    predictor = HeteroModalPredictor.from_model_folder(args.model, args.folds, args.device, options=options)
    rows, voxels = measure(predictor, args.i, args.l)
    args.o.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(args.o / "cases.csv", text.getvalue())
    summary = summarise(rows, voxels)
    replace_json(args.o / "summary.json", summary)
    draw(voxels, args.o)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
