"""The page that travels with a model."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_model import CONFIGURATION, tiny_dataset_json, tiny_plans, write_json
from reliability.test_calibration_file import CALIBRATION

from nnunet_hetero.config import KEY
from nnunet_hetero.errors import HeteroError
from nnunet_hetero.inference.model.model_card import evaluation_tables, model_card

COMPLETING = {"network_weights": {"image_decoder.stages.0.weight": torch.zeros(1)}, KEY: {}}
SEGMENTING = {"network_weights": {"decoder.stages.0.weight": torch.zeros(1)}, KEY: {}}


@pytest.fixture
def folder(tmp_path):
    """A model's folder as far as the page reads it."""
    folder = tmp_path / f"Ours__Narrow__{CONFIGURATION}"
    plans = tiny_plans()
    plans["configurations"][CONFIGURATION] |= {"spacing": [2.5, 1.0, 1.0], "hetero_modal": {}}
    write_json(folder / "dataset.json", tiny_dataset_json(num_training=12))
    write_json(folder / "plans.json", plans)
    return folder


def evaluated(folder, place: str, text: str) -> None:
    (folder / place).mkdir(parents=True)
    (folder / place / "table.md").write_text(text, encoding="utf-8")


def test_says_what_it_is(folder):
    page = model_card(folder, COMPLETING, [0, 3], None)
    for words in (
        "segments whole tumor, tumor core and enhancing tumor from any subset of T1, T1c, T2 and FLAIR",
        "completes the others as images",
        "| trainer | Ours |",
        f"| plans, configuration | Narrow, {CONFIGURATION} |",
        "| folds | 0, 3 |",
        "| training cases of the data set | 12 |",
        "2.5 × 1 × 1 mm",
        "not stated; ask whoever gave you the model",
        "-f 0 3",
    ):
        assert words in page


def test_a_network_without_image_decoders_completes_nothing(folder):
    """Whether by its settings or because its trainer has none: the weights tell."""
    page = model_card(folder, SEGMENTING, [0], "CC0")
    assert "from any subset of T1, T1c, T2 and FLAIR, and completes no images" in page and "| CC0 |" in page


def test_a_model_of_one_subset_needs_it(folder):
    plans = tiny_plans()
    plans["configurations"][CONFIGURATION][KEY] = {"subset": [0, 2]}
    write_json(folder / "plans.json", plans)
    page = model_card(folder, SEGMENTING, [0], None)
    assert "from T1 and T2, all of which it needs, and completes no images" in page and "any subset" not in page


def test_a_model_of_nnunets_own_trainer_needs_all(folder):
    page = model_card(folder, {"network_weights": SEGMENTING["network_weights"]}, [0], None)
    assert "from T1, T1c, T2 and FLAIR, all of which it needs, and completes no images" in page


def test_whether_it_is_calibrated(folder):
    assert "| calibration | none: no intervals of volumes" in model_card(folder, COMPLETING, [0], None)
    CALIBRATION.write(folder)
    page = model_card(folder, COMPLETING, [0], None)
    assert f"| calibration | on {CALIBRATION.patients} patients, intervals of {100 * CALIBRATION.level:g} % |" in page


def test_tables_of_the_exported_folds_only(folder):
    evaluated(folder, "fold_0/evaluation", "| of fold 0 |")
    evaluated(folder, "fold_1/evaluation_test", "| of fold 1 |")
    evaluated(folder, "evaluation_0_1", "| of both |")
    assert "Not evaluated" in model_card(folder, COMPLETING, [2], None)
    assert [file.parent.name for file in evaluation_tables(folder, [0])] == ["evaluation"]
    page = model_card(folder, COMPLETING, [0, 1], None)
    assert "Not evaluated" not in page
    places = [page.index(text) for text in ("### fold_0/evaluation", "| of fold 1 |", "### evaluation_0_1")]
    assert places == sorted(places)


def test_plans_without_the_configuration_are_told(folder):
    plans = tiny_plans()
    plans["configurations"] = {"2d": plans["configurations"][CONFIGURATION]}
    write_json(folder / "plans.json", plans)
    with pytest.raises(HeteroError, match=CONFIGURATION):
        model_card(folder, COMPLETING, [0], None)
