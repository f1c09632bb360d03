"""Sections of the demo's page on completed images, uncertainty and volumes, from the files that prediction wrote."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from matplotlib.figure import Figure

from nnunet_hetero.demo.settings import LEVEL
from nnunet_hetero.evaluation.report.figures import completion_panel, uncertainty_panel
from nnunet_hetero.evaluation.report.page import ExtraTable
from nnunet_hetero.evaluation.scores.image_quality import CONVENTION, image_quality
from nnunet_hetero.inference.output.volumes import region_sizes
from nnunet_hetero.nnunet.extent import voxel_size
from nnunet_hetero.nnunet.regions import Region
from nnunet_hetero.training.record.sample_counts_figure import modalities_figure

REGIONS: dict[str, Region] = {"whole_tumor": (1, 2, 3), "tumor_core": (1, 3), "enhancing_tumor": (3,)}
_SPOKEN = [name.replace("_", " ") for name in REGIONS]
RUNS = {"all": "T1+T1c+T2+FLAIR", "without_T1c": "T1+T2+FLAIR", "only_FLAIR": "FLAIR"}
"""Folder of each prediction, and what it was made from."""


@dataclass(frozen=True)
class DemoFiles:
    """Where the demo's files are.

    Args:
        out: The demo's folder.
        test: nnU-Net raw dataset of the held-out cases.
        modalities: Names in channel order.
    """

    out: Path
    test: Path
    modalities: list[str]

    @property
    def cases(self) -> list[str]:
        """The held-out cases."""
        return sorted(path.name[: -len(".nii.gz")] for path in (self.test / "labelsTr").glob("*.nii.gz"))

    def image(self, case: str, name: str) -> np.ndarray:
        """Real image of a modality."""
        return load(self.test / "imagesTr" / f"{case}_{self.modalities.index(name):04d}.nii.gz")

    def truth(self, case: str) -> np.ndarray:
        """True label map."""
        return load(self.test / "labelsTr" / f"{case}.nii.gz")

    def prediction(self, run: str, case: str) -> np.ndarray:
        """Predicted label map of one of the `RUNS`."""
        return load(self.out / "predictions" / run / f"{case}.nii.gz")

    def completed(self, run: str, case: str, name: str) -> np.ndarray:
        """Completed image of a modality that the run was not given."""
        folder = self.out / "predictions" / run / "completed"
        return load(folder / f"{case}_{self.modalities.index(name):04d}.nii.gz")

    def uncertainty(self, run: str, case: str, quantity: str) -> np.ndarray:
        """Map of ``entropy`` or ``mutual_information``: the largest over the regions, in nats."""
        folder = self.out / "predictions" / run / "uncertainty"
        return np.max([load(folder / f"{case}_{quantity}_{region}.nii.gz") for region in REGIONS], axis=0)


def load(path: Path) -> np.ndarray:
    """Voxels as (slices, rows, columns), the front of the head up."""
    return np.flip(np.asarray(nibabel.Nifti1Image.from_filename(path).dataobj).T, axis=1)


def completion(files: DemoFiles) -> tuple[Figure, ExtraTable]:
    """Completed images of the first case, and how close those of all cases are to the real ones."""
    shown = (("without_T1c", "T1c"), ("only_FLAIR", "T1"), ("only_FLAIR", "T1c"), ("only_FLAIR", "T2"))
    wanted = {f"{name} from {RUNS[run]}": (run, name) for run, name in shown}
    case = files.cases[0]
    panel = completion_panel(
        {title: (files.image(case, name), files.completed(run, case, name)) for title, (run, name) in wanted.items()},
        files.truth(case),
    )
    places = ("brain", "tumour", "healthy")
    header = ["completed", *(f"PSNR {place} [dB]" for place in places), *(f"SSIM {place}" for place in places)]
    rows = [header]
    for title, (run, name) in wanted.items():
        found = [
            image_quality(files.completed(run, case, name), files.image(case, name), files.truth(case) > 0)
            for case in files.cases
        ]
        psnr = [f"{_mean_of(found, f'psnr_{place}'):.1f}" for place in places]
        ssim = [f"{_mean_of(found, f'ssim_{place}'):.3f}" for place in places]
        rows.append([title, *psnr, *ssim])
    return panel, ("Completed images", rows, f"Mean over the held-out cases. {CONVENTION}")


def _mean_of(rows: Sequence[Mapping[str, float | str]], column: str) -> float:
    return float(np.nanmean([float(row[column]) for row in rows]))


def uncertainty(files: DemoFiles) -> tuple[Figure, ExtraTable]:
    """Maps of the first case, and per run how unsure the model says it is next to how wrong it is."""
    case = files.cases[0]
    panel = uncertainty_panel(
        files.image(case, "FLAIR"),
        files.truth(case),
        {
            subset: (
                files.prediction(run, case),
                files.uncertainty(run, case, "entropy"),
                files.uncertainty(run, case, "mutual_information"),
            )
            for run, subset in RUNS.items()
        },
        REGIONS,
    )
    rows = [["made from", *(f"disagreement, {name}" for name in _SPOKEN)]]
    for run, subset in RUNS.items():
        entries = _csv(files.out / "predictions" / run / "uncertainty" / "uncertainty.csv")
        rows.append([subset, *(f"{_mean_of(entries, f'{name}_disagreement'):.3f}" for name in REGIONS)])
    note = "1 - Dice between the draws of the latents and the segmentation of their mean; mean over the held-out cases."
    return panel, ("Uncertainty", rows, note)


def volumes(files: DemoFiles) -> ExtraTable:
    """Millilitres of each held-out case, segmented without T1c, next to the truth."""
    run = "without_T1c"
    rows = [["case"]]
    for name in _SPOKEN:
        rows[0] += [f"{name} [ml]", "interval", "truth"]
    known, inside = 0, 0
    for entry in _csv(files.out / "predictions" / run / "volumes.csv"):
        label = nibabel.Nifti1Image.from_filename(files.test / "labelsTr" / f"{entry['case']}.nii.gz")
        size = voxel_size({"spacing": label.header.get_zooms()})
        true = region_sizes(files.truth(entry["case"]), REGIONS, size)
        cells = [entry["case"]]
        for name in REGIONS:
            limits = [entry.get(f"{name}_ml_{limit}") for limit in ("low", "high")]
            text = "–"
            if limits[0] and limits[1]:
                low, high = float(limits[0]), float(limits[1])
                text = f"{low:.1f} to {high:.1f}"
                known, inside = known + 1, inside + (low <= true[name] <= high)
            cells += [f"{float(entry[f'{name}_ml']):.1f}", text, f"{true[name]:.1f}"]
        rows.append(cells)
    note = (
        f"From {RUNS[run]}. The model was calibrated on its validation cases so that intervals hold the truth in "
        f"{100 * LEVEL:g} % of patients; here {inside} of {known} do."
    )
    return "Volumes", rows, note


def gaps(raw: Path, fold: Path) -> tuple[Figure, ExtraTable]:
    """What the training cases lack, and how often training saw and drew each modality.

    Args:
        raw: nnU-Net raw dataset that was trained on.
        fold: The trained fold's folder.
    """
    dataset, counts = (
        json.loads(file.read_text(encoding="utf-8")) for file in (raw / "dataset.json", fold / "modalities.json")
    )
    missing = dataset["missing_modalities"]
    rows = [["case", "lacks"], *([case, ", ".join(names)] for case, names in sorted(missing.items()))]
    note = (
        f"{len(missing)} of {dataset['numTraining']} cases have gaps; {counts['cases']} of all are trained on, the "
        "others validate. A case is seen through subsets of what it has, and its images are completed and compared "
        "where it has them."
    )
    return modalities_figure(counts), ("Training cases with gaps", rows, note)


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
