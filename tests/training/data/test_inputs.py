"""What a training sees of preprocessed cases: absent CT as zeros, all the way from a data set with gaps."""

from __future__ import annotations

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from helpers.tiny_dataset import DATASET, new_dataset, plan_and_preprocess, threads_for_processes
from helpers.tiny_model import read_array, tiny_dataset_json, write_case, write_json
from nnunetv2.run.run_training import run_training
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.cases.preprocess import preprocess, read_case
from nnunet_hetero.cli.main import main
from nnunet_hetero.training.data.inputs import InputRules, PreparedDatasets, PreparedImages, normalised_zeros
from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer

CHANNELS = ("CT", "PET", "T1")
CASES = "abcdefg"
GAPS = {"a": [0], "b": [1], "f": [0]}
INTENSITIES = {"mean": 50.0, "std": 20.0, "percentile_00_5": 10.0, "percentile_99_5": 90.0}


def configuration(*schemes):
    return SimpleNamespace(normalization_schemes=list(schemes), use_mask_for_norm=[False] * len(schemes))


class TestNormalisedZeros:
    def test_ct(self):
        found = normalised_zeros(configuration("ZScoreNormalization", "CTNormalization"), {"0": {}, "1": INTENSITIES})
        assert found == {1: pytest.approx((10 - 50) / 20)}

    @pytest.mark.parametrize(
        "scheme",
        ["ZScoreNormalization", "NoNormalization", "RescaleTo01Normalization", "RGBTo01Normalization"],
    )
    def test_others_leave_zeros_at_zero(self, scheme):
        assert normalised_zeros(configuration(scheme), {"0": INTENSITIES}) == {}


class TestFlatChannels:
    """Images that were constant before nnU-Net normalised them: whatever constant that leaves."""

    def test_one_value_throughout_and_not_zero(self):
        random = np.random.default_rng(0)
        images = random.normal(size=(5, 6, 7, 8)).astype(np.float32)
        images[1] = 0
        images[2] = -0.37 + random.normal(scale=1e-7, size=(6, 7, 8))  # a float32 mean, divided by 1e-8, resampled
        images[3, 3] = 4
        images[4] = 7
        assert InputRules({}, (False,) * 5).flat_channels(images) == (2, 4)


class TestPreparedImages:
    """Indexed as nnU-Net does it, they are an array with all of it done."""

    @pytest.fixture
    def arrays(self):
        random = np.random.default_rng(0)
        images = random.normal(size=(4, 6, 7, 8)).astype(np.float32)
        segmentation = random.integers(-1, 3, (1, 6, 7, 8)).astype(np.int16)
        rules = InputRules({}, (True, True, False, True), {}, {1: [1.0, 5.0], 2: [3.0, 4.0]})
        landmarks = {1: np.array([0.0, 2.0]), 2: np.array([-1.0, 1.0])}
        expected = images.copy()
        expected[0] = 0
        inside = segmentation[0] >= 0
        expected[1][inside] = 1 + 2 * images[1][inside]
        expected[2] = 3.5 + images[2] / 2
        images.setflags(write=False)
        return PreparedImages(images, segmentation, rules, (0,), landmarks), expected

    @pytest.mark.parametrize(
        "key",
        [
            slice(None),
            1,
            (2, 3),
            (slice(None), slice(1, 4), slice(0, 7), slice(2, 3)),
            (slice(1, 3), 2),
            (np.int64(0), slice(None), 1),
        ],
        ids=str,
    )
    def test_indexing(self, arrays, key):
        prepared, expected = arrays
        np.testing.assert_allclose(prepared[key], expected[key], atol=1e-6)

    def test_crop_of_nnunet(self, arrays):
        prepared, expected = arrays
        box = [[-2, 3], [1, 9], [2, 6]]
        found = crop_and_pad_nd(prepared, box, 0)
        np.testing.assert_allclose(found, crop_and_pad_nd(expected, box, 0), atol=1e-6)
        assert (prepared.shape, prepared.ndim, prepared.dtype) == (expected.shape, 4, np.float32)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """CT, PET and MR with gaps, filled, checked, planned and preprocessed by nnU-Net, at another spacing."""
    root = tmp_path_factory.mktemp("mixed")
    with pytest.MonkeyPatch.context() as monkeypatch:
        dataset = new_dataset(root, monkeypatch)
        folder = root / "raw" / DATASET
        for seed, case in enumerate(CASES):
            present = [channel for channel in range(3) if channel not in GAPS.get(case, ())]
            # Two of them are resampled.
            spacing = 1.25 if case in "af" else 1.0
            write_case(
                folder / "imagesTr", case, present, seed, channels=CHANNELS, labels=folder / "labelsTr", spacing=spacing
            )
        write_json(folder / "dataset.json", tiny_dataset_json(CHANNELS, len(CASES)))
        assert main(["fill-gaps", "-d", "501", "-np", "1"]) == 0
        plan_and_preprocess(dataset, list("abcde"), list("fg"), monkeypatch, ("3d_fullres",))
    return dataset


@pytest.fixture
def trainer(mixed, tmp_path, monkeypatch):
    mixed.use(monkeypatch, tmp_path / "results")
    threads_for_processes(monkeypatch)
    plans = {**mixed.plans, "continue_training": False}
    return HeteroModalVAETrainer(plans, "3d_fullres", 0, mixed.dataset_json, torch.device("cpu"))


class TestAbsentCT:
    def test_nnunet_stores_a_constant(self, mixed, trainer):
        """The reason for all of this."""
        assert mixed.plans["configurations"]["3d_fullres"]["normalization_schemes"][0] == "CTNormalization"
        assert mixed.dataset_json["missing_modalities"] == {"a": ["CT"], "b": ["PET"], "f": ["CT"]}
        folder = trainer.preprocessed_dataset_folder
        stored = infer_dataset_class(folder)(folder).load_case("a")[0][:]
        assert (
            np.ptp(stored[0]) < 1e-4 and abs(stored[0].mean()) > 0.1 and not np.allclose(stored.shape[1:], (20, 18, 22))
        )

    def test_training_and_validation_see_zeros(self, trainer):
        trainer.prepare_inputs()
        for dataset in trainer.get_tr_and_val_datasets():
            for case in dataset.identifiers:
                images = dataset.load_case(case)[0][:]
                present = [channel for channel in range(3) if images[channel].any()]
                assert present == [channel for channel in range(3) if channel not in GAPS.get(case, ())]
        assert trainer.cohort.cases == {"a": (1, 2), "b": (0, 2), "c": (0, 1, 2), "d": (0, 1, 2), "e": (0, 1, 2)}

    def test_ct_that_is_there_keeps_its_normalisation(self, trainer):
        trainer.prepare_inputs()
        training, _ = trainer.get_tr_and_val_datasets()
        for case in "ce":
            stored = training.dataset.load_case(case)[0][:]
            np.testing.assert_array_equal(training.load_case(case)[0][:], stored)
            assert stored[0].max() > stored[0].min()

    def test_batches(self, trainer):
        trainer.on_train_start()
        unseen = set(GAPS) - {"f"}  # f is of the validation
        for _ in range(1000):  # they are drawn by chance
            batch = next(trainer.dataloader_train)
            for case, images in zip(batch["keys"], batch["data"], strict=True):
                unseen.discard(case)
                assert not any(images[channel].any() for channel in GAPS.get(case, ()))
            if not unseen:
                return
        pytest.fail(f"never drawn: {unseen}")

    def test_datasets_travel_to_other_processes(self, trainer):
        trainer.prepare_inputs()
        assert isinstance(trainer.dataset_class, PreparedDatasets)
        training, _ = trainer.get_tr_and_val_datasets()
        copy = pickle.loads(pickle.dumps(training))
        assert not copy.load_case("a")[0][0].any() and copy.identifiers == list("abcde")

    def test_prediction_gives_the_network_the_same_inputs(self, mixed, trainer):
        trainer.prepare_inputs()
        _, validation = trainer.get_tr_and_val_datasets()
        manager = trainer.plans_manager
        for case in "fg":
            folder = mixed.root / "raw" / DATASET / "imagesTr"
            files = tuple(str(folder / f"{case}_{channel:04d}.nii.gz") for channel in range(3))
            images = read_case(Case(case, files), trainer.modalities, (0, 1, 2), manager.image_reader_writer_class())
            prepared = preprocess(images, Preparation(manager, trainer.configuration_manager, trainer.dataset_json))
            np.testing.assert_array_equal(prepared.data, validation.load_case(case)[0][:])

    def test_from_gaps_to_predictions(self, mixed, trainer, tmp_path, monkeypatch):
        """nnU-Net's training, its validation, and a prediction of a case without CT."""
        seen = []
        original = HeteroModalVAETrainer.losses

        def losses(self, data, target, present, drawn):
            seen.append((present.clone(), (data != 0).flatten(2).any(dim=2)))
            return original(self, data, target, present, drawn)

        monkeypatch.setattr(HeteroModalVAETrainer, "losses", losses)
        run_training("501", "3d_fullres", "0", "HeteroModalVAETrainer", device=torch.device("cpu"))
        assert seen and all((shown <= present).all() for present, shown in seen)
        folder = tmp_path / "results" / DATASET / "HeteroModalVAETrainer__nnUNetPlans__3d_fullres"
        assert (folder / "fold_0" / "validation" / "f.nii.gz").exists()
        source = tmp_path / "IN"
        source.mkdir()
        for file in (mixed.root / "raw" / DATASET / "imagesTr").glob("f_*"):
            if read_array(file).any():
                (source / file.name).symlink_to(file)
        flags = ["-f", "0", "-device", "cpu", "-npp", "0", "-nps", "0", "--num_samples", "0", "--disable_tta"]
        assert main(["predict", "-m", str(folder), "-i", str(source), "-o", str(tmp_path / "OUT"), *flags]) == 0
        found = json.loads((tmp_path / "OUT" / "modalities.json").read_text())["f"]
        assert (found["used"], found["absent"]) == (["PET", "T1"], {"CT": "no file"})
