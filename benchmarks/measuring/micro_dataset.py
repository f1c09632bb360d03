"""A data set so small, and plans for a network so small, that a training takes seconds; for what is about processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor

from nnunet_hetero.dataset_conversion.brats import convert_brats
from nnunet_hetero.dataset_conversion.phantom import write_cohort
from nnunet_hetero.demo.plans import write_derived_plans

DATASET, NAME, PLANS, CONFIGURATION = 501, "Dataset501_BraTS", "nnUNetPlansMicro", "3d_fullres"
VARIABLES = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


class _QuickExtractor(DatasetFingerprintExtractor):
    """nnU-Net draws 10^8 intensities, however few voxels there are."""

    def __init__(self, *args: Any, **keywords: Any):
        super().__init__(*args, **keywords)
        self.num_foreground_voxels_for_intensitystats = 1e4


def write_micro_dataset(
    folder: Path,
    settings: Mapping[str, Any],
    batch: int = 2,
    cases: int = 5,
    size: int = 24,
    features: Sequence[int] = (4,),
    edge: int = 8,
) -> None:
    """Write phantoms, plan and preprocess them, and point nnU-Net's variables there.

    Args:
        folder: Of ``nnUNet_raw`` and so on; what it has already stays.
        settings: Ours, into the plans `PLANS`.
        batch: Samples in a training step.
        cases: How many phantoms; nnU-Net's folds need five.
        size: Their edge, voxels.
        features: Of every level of the network, finest first; deeper levels take the last.
        edge: Of a training patch, voxels.
    """
    os.environ |= {variable: str(folder / variable) for variable in VARIABLES}
    for variable in VARIABLES:
        (folder / variable).mkdir(parents=True, exist_ok=True)
    # nnU-Net's planner takes the number of loaders for its number of threads, and cannot run with none.
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1"}
    dataset = folder / "nnUNet_preprocessed" / NAME
    if not (dataset / f"nnUNetPlans_{CONFIGURATION}").is_dir():
        write_cohort(folder / "cohort", cases=cases, size=size, progress=False)
        convert_brats(folder / "cohort", DATASET, processes=1, progress=False)
        threads = SimpleNamespace(Pool=ThreadPool)  # a new process would import torch for seconds
        with patch.object(multiprocessing, "get_context", lambda _: threads):
            nnunet.extract_fingerprint_dataset(DATASET, _QuickExtractor, 1, True, show_progress_bar=False)
            nnunet.plan_experiments([DATASET])
            nnunet.preprocess([DATASET], configurations=[CONFIGURATION], num_processes=[1], show_progress_bar=False)
    write_derived_plans(dataset, PLANS, CONFIGURATION, settings, features=features, patch=[edge] * 3, batch=batch)
    os.environ |= {"nnUNet_n_proc_DA": "0"}  # augmentation in the training's own process: its order is fixed
