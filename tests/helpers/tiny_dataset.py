"""A tiny dataset in nnU-Net's folders, planned and preprocessed by nnU-Net itself."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace

from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor

from helpers.tiny_model import write_json
from nnunet_hetero.dataset_conversion.brats import convert_brats
from nnunet_hetero.dataset_conversion.phantom import write_cohort
from nnunet_hetero.nnunet.environment import EXT_TRAINER, ext_trainer_value

DATASET = "Dataset501_BraTS"
SHORT = {"num_epochs": 2, "num_iterations_per_epoch": 2, "num_val_iterations_per_epoch": 2}
PATCHES = {"3d_fullres": [16, 16, 16], "2d": [16, 16]}


def threads_for_processes(monkeypatch) -> None:
    """Let nnU-Net's pools be threads: a new process imports torch for seconds."""
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: SimpleNamespace(Pool=ThreadPool))


@dataclass(frozen=True)
class TinyDataset:
    """A dataset as nnU-Net has it before training.

    Args:
        root: Folder of ``raw`` and ``preprocessed``.
    """

    root: Path

    @property
    def preprocessed(self) -> Path:
        """The dataset's folder in ``nnUNet_preprocessed``."""
        return self.root / "preprocessed" / DATASET

    @property
    def plans(self) -> dict:
        """Content of ``nnUNetPlans.json``."""
        return json.loads((self.preprocessed / "nnUNetPlans.json").read_text())

    @property
    def dataset_json(self) -> dict:
        """Content of ``dataset.json``."""
        return json.loads((self.preprocessed / "dataset.json").read_text())

    @property
    def validation_cases(self) -> list[str]:
        """Those of fold 0."""
        return json.loads((self.preprocessed / "splits_final.json").read_text())[0]["val"]

    def use(self, monkeypatch, results: Path) -> None:
        """Set nnU-Net's variables."""
        monkeypatch.setenv("nnUNet_raw", str(self.root / "raw"))
        monkeypatch.setenv("nnUNet_preprocessed", str(self.root / "preprocessed"))
        monkeypatch.setenv("nnUNet_results", str(results))
        monkeypatch.setenv("nnUNet_n_proc_DA", "0")
        monkeypatch.setenv(EXT_TRAINER, ext_trainer_value(None))


class _QuickExtractor(DatasetFingerprintExtractor):
    """nnU-Net draws 10^8 intensities, however few voxels there are."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.num_foreground_voxels_for_intensitystats = 1e4


def write_tiny_dataset(root: Path, monkeypatch) -> TinyDataset:
    """Write five phantoms in 2d and 3d_fullres, the first without T2; fold 0 validates on the last two."""
    dataset = new_dataset(root, monkeypatch)
    cases = write_cohort(root / "cohort", cases=5, size=24, progress=False)
    (root / "cohort" / cases[0] / f"{cases[0]}_t2.nii.gz").unlink()
    convert_brats(root / "cohort", 501, processes=1, progress=False)
    plan_and_preprocess(dataset, cases[:3], cases[3:], monkeypatch)
    return dataset


def new_dataset(root: Path, monkeypatch) -> TinyDataset:
    """Make nnU-Net's folders and set its variables; the dataset is still to be written to ``raw``."""
    threads_for_processes(monkeypatch)
    dataset = TinyDataset(root)
    dataset.use(monkeypatch, root / "results")
    for name in ("raw", "preprocessed"):
        (root / name).mkdir(parents=True)
    return dataset


def plan_and_preprocess(
    dataset: TinyDataset, training: list[str], validation: list[str], monkeypatch, configurations=tuple(PATCHES)
) -> None:
    """What nnUNetv2_plan_and_preprocess --verify_dataset_integrity does, for a fold 0 of these cases.

    The plans have narrow networks of three levels, patches of 16 voxels and short trainings.
    """
    nnunet.extract_fingerprint_dataset(501, _QuickExtractor, 1, True, show_progress_bar=False)
    # nnU-Net's planner takes the number of loaders for its number of threads, and cannot run with none.
    monkeypatch.setenv("nnUNet_n_proc_DA", "1")
    nnunet.plan_experiments([501])
    plans = dataset.plans
    for name, configuration in plans["configurations"].items():
        dimension = len(PATCHES[name])
        configuration.update(patch_size=PATCHES[name], batch_size=2, hetero_modal=SHORT)
        configuration["architecture"]["arch_kwargs"].update(
            features_per_stage=[4, 8, 8],
            strides=[[1] * dimension, [2] * dimension, [2] * dimension],
            n_conv_per_stage=[1, 1, 1],
            n_conv_per_stage_decoder=[1, 1],
        )
    write_json(dataset.preprocessed / "nnUNetPlans.json", plans)
    write_json(dataset.preprocessed / "splits_final.json", [{"train": training, "val": validation}])
    nnunet.preprocess([501], configurations=configurations, num_processes=[1], show_progress_bar=False)
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
