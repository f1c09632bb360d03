"""Output folders of two scans, as a prediction with a calibrated model writes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nnunet_hetero.inference.output.volumes import volumes_row, write_rows
from nnunet_hetero.reliability.calibration_file import CalibratedModel, Calibration
from nnunet_hetero.reliability.intervals import CalibrationInUse
from nnunet_hetero.reliability.volume_scale import VolumeScale

REGIONS = ("whole tumor", "enhancing tumor")


def calibration_of(patients: int = 30, weights: str = "w0") -> Calibration:
    """Scores of 0.1 to 1 for T1 and for T1+T2, at a level of 0.9."""
    scores = np.linspace(0.1, 1, patients).tolist()
    of_subsets = {"T1": {"0": scores}, "T1+T2": {"0": scores}}
    model = CalibratedModel("HeteroModalVAETrainer", "abc", {"0": weights}, 10, [0, 1, 2], 0.5)
    by_region = dict.fromkeys(REGIONS, of_subsets), {region: {"all": 1.0} for region in REGIONS}
    return Calibration("1.0", model, False, 0.9, False, True, ["T1", "T2"], patients, *by_region)


def write_scans(
    folder: Path, cases: dict[str, dict], calibration: Calibration | None = None, unit: str = "ml"
) -> Calibration:
    """An output folder.

    Args:
        folder: Where to.
        cases: By name ``modalities``, ``sizes`` (one for each region) and, if it is not 0.1, ``disagreement``.
        calibration: Default `calibration_of`.
        unit: Of the sizes.

    Returns:
        The calibration as it was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = Calibration.read((calibration or calibration_of()).write(folder))
    entries = {}
    for name, case in cases.items():
        sizes, doubt = np.array([case["sizes"]], float), np.full((1, 2), case.get("disagreement", 0.1))
        subset = "+".join(case["modalities"])
        intervals = CalibrationInUse(written, ("0",)).intervals(subset, sizes, doubt, VolumeScale(0.008, unit))
        by_region = dict(zip(REGIONS, case["sizes"], strict=True))
        row = volumes_row(by_region, 10, unit, intervals, written.level)
        write_rows(folder / "volumes.csv", {name: (case["modalities"], [row])})
        entries[name] = {
            "run": 0,
            "modalities": case["modalities"],
            "made_from": {"sources": {}, "settings": {"calibration": written.sha256}},
            "statements": {
                "unit": unit,
                "voxel": 0.008,
                "folds": ["0"],
                "sizes": {region: [size] for region, size in by_region.items()},
                "disagreement": {region: [case.get("disagreement", 0.1)] for region in REGIONS},
            },
        }
    (folder / "run.json").write_text(json.dumps({"runs": [{}], "cases": entries}))
    return written
