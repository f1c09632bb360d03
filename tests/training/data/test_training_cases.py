"""Cases with gaps in training: what they have, who is refused, and how often each is sampled."""

from __future__ import annotations

import json
import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from nnunet_hetero.errors import DataError
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.training.data.training_cases import Cohort, read_training_cohort

MODALITIES = Modalities(("T1", "T1c", "T2", "FLAIR"))
ALL = (0, 1, 2, 3)


class Images:
    """Stands for nnU-Net's dataset: images in memory.

    Args:
        has: What each case has.
    """

    def __init__(self, has: dict):
        self.identifiers = sorted(has)
        self.has = has

    def load_case(self, case: str):
        images = np.zeros((4, 6, 6, 6), np.float32)
        images[list(self.has[case])] = 1
        return images, None, None, {}


def trainer_for(dataset_json: dict) -> SimpleNamespace:
    lines: list[str] = []
    return SimpleNamespace(dataset_json=dataset_json, fold=2, lines=lines, print_to_log_file=lines.append)


DATASET_JSON = {"channel_names": {str(number): name for number, name in enumerate(MODALITIES.names)}}


def read(training: dict, validation: dict | None = None) -> tuple[Cohort, list[str]]:
    trainer = trainer_for(DATASET_JSON)
    return read_training_cohort(trainer, Images(training), Images(validation or {})), trainer.lines


class TestWhatACaseHas:
    def test_channels_that_are_not_zero(self):
        cohort, lines = read({"a": ALL, "b": (0, 3), "c": (0, 3)})
        assert cohort.cases == {"a": ALL, "b": (0, 3), "c": (0, 3)}
        assert cohort.subset_counts() == Counter({ALL: 1, (0, 3): 2})
        assert cohort.modality_counts() == [3, 1, 1, 3]
        assert cohort.present(["b", "a"]).tolist() == [[True, False, False, True], [True] * 4]
        assert lines == [
            "Training cases: 3. With each modality: T1 3, T1c 1, T2 1, FLAIR 3",
            "With exactly these modalities: T1+FLAIR 2, T1+T1c+T2+FLAIR 1",
        ]

    def test_one_voxel_at_the_border_is_content(self):
        dataset = Images({"a": (0,)})
        images, *rest = dataset.load_case("a")
        images[2, 0, 0, 5] = -1
        dataset.load_case = lambda case: (images, *rest)
        assert Cohort.read(MODALITIES, dataset, progress=False).cases == {"a": (0, 2)}

    def test_case_with_nothing(self):
        with pytest.raises(
            DataError, match=r"Fold 2: all channels of 'b', 'd' are zero.*2 of 4 training cases.*splits"
        ):
            read({"a": ALL, "b": (), "c": (1,), "d": ()})

    def test_modality_of_validation_cases_only(self):
        _, lines = read({"a": (0, 3), "b": (0,), "c": (1,)}, {"d": (2,)})
        assert "WARNING: no training case of fold 2 has T2, only validation cases" in lines[-1]

    def test_modality_that_is_nowhere(self):
        with pytest.raises(DataError, match=r"no case has T1c\+T2; the channel is zero"):
            read({"a": (0, 3), "b": (0,)}, {"d": (0, 3)})


class TestBalance:
    @pytest.mark.parametrize(
        ("has", "expected"),
        [
            # Complete: uniform, as nnU-Net.
            ([ALL] * 4, [1 / 4] * 4),
            # One case of four has T1c: a quarter of the draws asks for it, and it may be drawn for the others too.
            ([(0, 2, 3)] * 3 + [ALL], [3 / 4 / 4] * 3 + [1 / 4 + 3 / 4 / 4]),
            # T2 is nowhere: the others share its turn.
            ([(0, 1), (3,)], [2 / 3, 1 / 3]),
        ],
    )
    def test_a_modality_then_a_case_that_has_it(self, has, expected):
        cohort = Cohort(MODALITIES, {str(number): subset for number, subset in enumerate(has)})
        assert cohort.balanced_probabilities(list(cohort.cases)) == pytest.approx(expected)

    def test_in_the_order_of_the_loader(self):
        cohort = Cohort(MODALITIES, {"b": (0,), "a": ALL})
        assert cohort.balanced_probabilities(["a", "b"]) == cohort.balanced_probabilities(["b", "a"])[::-1]

    def test_a_modality_is_never_rarer_than_its_turn(self):
        random = np.random.default_rng(0)
        for _ in range(50):
            has = [tuple(np.flatnonzero(random.random(4) < (0.9, 0.8, 0.3, 0.1)).tolist()) for _ in range(60)]
            cohort = Cohort(MODALITIES, {str(number): subset or (0,) for number, subset in enumerate(has)})
            probabilities = cohort.balanced_probabilities(list(cohort.cases))
            assert min(probabilities) > 0 and math.isclose(sum(probabilities), 1)
            presence = np.array(probabilities) @ cohort.present(cohort.cases)
            possible = [share for share, count in zip(presence, cohort.modality_counts(), strict=True) if count]
            assert min(possible) >= 1 / len(possible) - 1e-9

    def test_log(self):
        cohort = Cohort(MODALITIES, {"a": ALL, "b": (0, 2, 3)})
        line = cohort.describe_probabilities([0.75, 0.25])
        assert line.endswith("T1 100 %, T1c 75 %, T2 100 %, FLAIR 100 %")


@pytest.mark.usefixtures("no_figures")
class TestTraining:
    """On the tiny dataset: the first of the three training cases has no T2."""

    def run(self, make_trainer, **settings):
        trainer = make_trainer(**{"num_iterations_per_epoch": 6, "num_epochs": 1, "seed": 0, **settings})
        trainer.run_training()
        return trainer

    def counts(self, trainer) -> dict:
        with open(f"{trainer.output_folder}/modalities.json") as file:
            return json.load(file)

    def test_counts_and_log(self, make_trainer):
        trainer = self.run(make_trainer)
        counts = self.counts(trainer)
        assert counts["samples"] == 12
        assert counts["modalities"]["T2"]["cases"] == 2
        assert counts["modalities"]["T1"]["there"] == 12 > counts["modalities"]["T2"]["there"]
        with open(trainer.log_file) as file:
            log = file.read()
        assert "Training cases: 3. With each modality: T1 3, T1c 3, T2 2, FLAIR 3" in log
        assert f"T1 {counts['modalities']['T1']['drawn']}/12" in log

    def test_resumed(self, make_trainer):
        first = self.run(make_trainer, num_epochs=2)
        before = self.counts(first)
        second = make_trainer(resume=True, num_iterations_per_epoch=6, num_epochs=3, seed=0)
        second.load_checkpoint(f"{first.output_folder}/checkpoint_final.pth")
        second.run_training()
        after = self.counts(second)
        assert (before["samples"], after["samples"]) == (24, 36)
        assert all(after["subsets"][name]["drawn"] >= entry["drawn"] for name, entry in before["subsets"].items())

    def test_cohort_draw(self, make_trainer):
        """What the training cases have: all four, or all but T2."""
        trainer = self.run(make_trainer, alpha="cohort", balance_subsets=False)
        drawn = {name for name, entry in self.counts(trainer)["subsets"].items() if entry["drawn"]}
        assert drawn <= {"T1+T1c+T2+FLAIR", "T1+T1c+FLAIR"}
        assert {s: p for s, p in trainer.sampler.probabilities().items() if p} == pytest.approx(
            {ALL: 2 / 3, (0, 1, 3): 1 / 3}
        )

    def test_presence(self, make_trainer):
        trainer = self.run(make_trainer, presence={"T1": 1, "T1c": 0, "T2": 1, "FLAIR": 0})
        drawn = {name: entry["drawn"] for name, entry in self.counts(trainer)["subsets"].items() if entry["drawn"]}
        there = self.counts(trainer)["modalities"]["T2"]["there"]
        assert drawn == {name: n for name, n in (("T1+T2", there), ("T1", 12 - there)) if n}

    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ({"balance_subsets": False}, None),
            # T2 is in two of three cases; the first lacks it.
            ({"balance_modalities": True}, [1 / 4, 3 / 8, 3 / 8]),
            # Half of the draws (see test_draws: 4, 3 of 4, 3 of 6, 1 of 4) need T2, which the first does not have.
            ({}, [0.125, 0.4375, 0.4375]),
        ],
    )
    def test_loaders_get_the_probabilities(self, make_trainer, settings, expected):
        trainer = make_trainer(**settings)
        trainer.initialize()
        training, validation = trainer.get_dataloaders()
        loaders = [augmenter.data_loader for augmenter in (training, validation)]
        assert loaders[1].sampling_probabilities is None
        if expected is None:
            assert loaders[0].sampling_probabilities is None
            return
        assert loaders[0].sampling_probabilities == pytest.approx(expected)
        np.random.seed(0)
        seen = Counter(case for _ in range(500) for case in loaders[0].get_indices())
        first = loaders[0].indices[0]
        assert seen[first] / 1000 == pytest.approx(expected[0], abs=0.05)

    def test_the_case_counts_not_the_patch(self, make_trainer):
        """Patches where no image shows anything: their cases have what they have."""
        trainer = make_trainer(num_iterations_per_epoch=1, num_epochs=1, seed=0)
        trainer.initialize()
        training, _ = trainer.get_dataloaders()
        first, second, _ = trainer.cohort.cases
        batch = next(training)
        batch = {**batch, "data": torch.zeros_like(batch["data"]), "keys": [first, second]}
        assert trainer.modalities_of(batch).tolist() == [[True, True, False, True], [True] * 4]
        assert all(np.isfinite(value) for value in trainer.train_step(batch).values())

    def test_case_with_nothing_is_refused(self, make_trainer):
        trainer = make_trainer()
        trainer.initialize()

        class Emptied(infer_dataset_class(trainer.preprocessed_dataset_folder)):
            def load_case(self, identifier):
                images, *rest = super().load_case(identifier)
                return np.zeros_like(images[:]), *rest

        trainer.dataset_class = Emptied
        with pytest.raises(DataError, match="Fold 0: all channels of 'BraTS20_Phantom_001'"):
            trainer.run_training()
