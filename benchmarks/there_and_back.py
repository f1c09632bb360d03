"""What intake and return cost a segmentation: cases whose images have been moved, against the same cases unmoved.

    python benchmarks/there_and_back.py --data BRATS --model MODEL --fold 0 --cases 3

BRATS holds cases in the raw layout (``*/CASE/CASE_t1.nii.gz``). All images of a case but T1c are moved like those of
``benchmarks/registration.py``, each by a motion of its own. They are prepared (T1c lies still), segmented from every
subset of the modalities, and brought back; the Dice with the truth is compared with that of the unmoved images under
the same model. Cases are the validation cases of the fold, so that the model has not seen them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from registration import moved, random_motion

from nnunet_hetero import HeteroModalPredictor, PredictionOptions, SamplingOptions, prepare_case
from nnunet_hetero.intake.images.grids import resampled_labels
from nnunet_hetero.modalities import Modalities, all_subsets

FILES = {"T1": "t1", "T1c": "t1ce", "T2": "t2", "FLAIR": "flair"}
REGIONS = {"whole tumor": (1, 2, 4), "tumor core": (1, 4), "enhancing tumor": (4,)}
"""By BraTS's labels."""

REFERENCE, ELSEWHERE = "T1c", "FLAIR"


def dice(found: np.ndarray, truth: np.ndarray, regions: dict[str, tuple[int, ...]]) -> float:
    """Mean over the regions; an empty one that is found empty counts 1."""
    scores = []
    for name, labels in REGIONS.items():
        one, other = np.isin(found, regions[name]), np.isin(truth, labels)
        total = int(one.sum() + other.sum())
        scores.append(1.0 if not total else float(2 * (one & other).sum() / total))
    return float(np.mean(scores))


class Measurement:
    """All subsets of one case, unmoved and moved.

    Args:
        predictor: The model.
        model: Its folder.
    """

    def __init__(self, predictor: HeteroModalPredictor, model: Path):
        self.predictor, self.model = predictor, model
        content = json.loads((model / "dataset.json").read_text(encoding="utf-8"))
        self.modalities = Modalities.from_dataset_json(content)
        found = {name: tuple(np.atleast_1d(value).tolist()) for name, value in content["labels"].items()}
        self.regions = {name: found[name if name in found else name.replace(" ", "_")] for name in REGIONS}

    def of_case(self, folder: Path, rng: np.random.Generator) -> list[tuple[str, float, float, float]]:
        """Subset, Dice unmoved, Dice moved and back, and Dice on the moved FLAIR, for each subset."""
        images = {name: self._read(folder, end, sitk.sitkFloat32) for name, end in FILES.items()}
        truth = self._read(folder, "seg", sitk.sitkUInt8)
        motions = {name: random_motion(image, rng) for name, image in images.items() if name != REFERENCE}
        given = {
            name: moved(image, motions[name], None) if name in motions else image for name, image in images.items()
        }
        prepared = {"unmoved": prepare_case(images, self.model), "moved": prepare_case(given, self.model, REFERENCE)}
        elsewhere = resampled_labels(truth, prepared["moved"].grids[ELSEWHERE], motions[ELSEWHERE])
        rows = []
        for subset in all_subsets(len(self.modalities)):
            names = [self.modalities.names[channel] for channel in subset]
            found = {}
            for what, case in prepared.items():
                arrays = {name: case.arrays[name] for name in names}
                found[what] = self.predictor.predict(arrays, spacing=case.spacing, case=folder.name).segmentation
            unmoved = self._dice(prepared["unmoved"].restore(found["unmoved"], REFERENCE), truth)
            back = self._dice(prepared["moved"].restore(found["moved"], REFERENCE), truth)
            there = self._dice(prepared["moved"].restore(found["moved"], ELSEWHERE), elsewhere)
            rows.append((self.modalities.label(subset), unmoved, back, there))
        return rows

    def _dice(self, found: sitk.Image, truth: sitk.Image) -> float:
        return dice(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(truth), self.regions)

    @staticmethod
    def _read(folder: Path, name: str, kind: int) -> sitk.Image:
        return sitk.ReadImage(str(folder / f"{folder.name}_{name}.nii.gz"), kind)


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="Folder of cases in the raw BraTS layout.")
    parser.add_argument("--model", type=Path, required=True, help="Folder of a model of BraTS.")
    parser.add_argument("--splits", type=Path, help="splits_final.json; its validation cases are taken. Default: all")
    parser.add_argument("--fold", type=int, default=0, help="Default: %(default)s")
    parser.add_argument("--cases", type=int, help="So many at most.")
    parser.add_argument("--device", default="cpu", help="Default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="Default: %(default)s")
    args = parser.parse_args()
    folders = {file.parent.name: file.parent for file in sorted(args.data.rglob("*_t1.nii.gz"))}
    chosen = list(folders)
    if args.splits:
        chosen = json.loads(args.splits.read_text(encoding="utf-8"))[args.fold]["val"]
    options = PredictionOptions(sampling=SamplingOptions(num_samples=0))
    predictor = HeteroModalPredictor.from_model_folder(
        str(args.model), folds=args.fold, device=args.device, options=options, use_mirroring=False, allow_tqdm=False
    )
    measurement, rng = Measurement(predictor, args.model), np.random.default_rng(args.seed)
    by_subset: dict[str, list[tuple[float, float, float]]] = {}
    for case in chosen[: args.cases]:
        rows = measurement.of_case(folders[case], rng)
        print(
            f"{case}: unmoved, moved and back, on the moved {ELSEWHERE}: {np.mean([row[1:] for row in rows], 0)}",
            flush=True,
        )
        for subset, *scores in rows:
            by_subset.setdefault(subset, []).append(tuple(scores))
    print(f"\n| from | unmoved | moved and back | difference | on the moved {ELSEWHERE} |\n|---|---|---|---|---|")
    means = {subset: np.mean(scores, axis=0) * 100 for subset, scores in by_subset.items()}
    means["mean of all subsets"] = np.mean(list(means.values()), axis=0)
    for subset, (unmoved, back, there) in means.items():
        print(f"| {subset} | {unmoved:.1f} | {back:.1f} | {back - unmoved:+.1f} | {there:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
