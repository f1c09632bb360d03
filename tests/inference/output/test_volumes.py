"""Volumes of regions, their spread over draws, and the tables beside the predictions."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.tiny_model import REGIONS, read_array, write_case

from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.output.volumes import (
    enhancing_ratio,
    limits_of,
    region_sizes,
    spread_row,
    volumes_row,
    write_rows,
)
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.nnunet.extent import SQUARE_MILLIMETRES, voxel_size
from nnunet_hetero.reliability.intervals import Interval


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


def rows_of(file) -> dict[str, dict[str, str]]:
    with file.open(newline="") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


class TestNumbers:
    def test_millilitres(self):
        label_map = np.array([[[0, 1, 2], [3, 3, 0]]])
        regions = {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": 3}
        found = region_sizes(label_map, regions, voxel_size({"spacing": (5.0, 2.0, 10.0)}))
        assert found == pytest.approx({"whole tumor": 0.4, "tumor core": 0.3, "enhancing tumor": 0.2})

    def test_without_a_calibration_there_is_no_interval(self):
        assert volumes_row({"liver": 50.0, "a tumour": 7.0}, 10) == {"draws": 10, "liver_ml": 50.0, "a_tumour_ml": 7.0}

    def test_intervals(self):
        intervals = {"liver": Interval(40.0, 61.0, 12), "a tumour": Interval(None, None, 8, "8 patient(s)")}
        assert volumes_row({"liver": 50.0, "a tumour": 7.0}, 10, "ml", intervals, 0.9) == {
            "draws": 10,
            "liver_ml": 50.0,
            "liver_ml_low": 40.0,
            "liver_ml_high": 61.0,
            "a_tumour_ml": 7.0,
            "a_tumour_ml_low": None,
            "a_tumour_ml_high": None,
            "interval_level": 0.9,
            "interval_cases": 8,
            "interval_note": "8 patient(s)",
        }

    def test_an_interval_holds_the_size_itself(self):
        assert limits_of(Interval(4.0, 6.0, 9), 3.0) == (3.0, 6.0)
        assert limits_of(Interval(4.0, 6.0, 9), 7.0) == (4.0, 7.0)
        assert limits_of(Interval(None, None, 3, "why"), 7.0) == limits_of(None, 7.0) == (None, None)

    def test_percentiles_of_the_draws(self):
        draws = np.stack([np.arange(101.0), np.full(101, 7.0)], axis=1)
        assert spread_row(["liver", "a tumour"], draws, "ml") == {
            "liver_ml_draws_p2.5": 2.5,
            "liver_ml_draws_p97.5": 97.5,
            "a_tumour_ml_draws_p2.5": 7.0,
            "a_tumour_ml_draws_p97.5": 7.0,
        }
        assert set(spread_row(["liver"], draws[:, :1], None).values()) == {None}

    def test_areas_under_their_own_name_and_pictures_without_any(self):
        row = volumes_row({"liver": 7.0}, 3, SQUARE_MILLIMETRES, {"liver": Interval(6.0, 8.0, 9)}, 0.9)
        assert list(row)[:4] == ["draws", "liver_mm2", "liver_mm2_low", "liver_mm2_high"]
        unknown = dict.fromkeys(("whole", "enhancing"), Interval(None, None, 0, "why"))
        row = volumes_row({"whole": 8.0, "enhancing": 2.0}, 3, None, unknown, 0.9)
        assert row.pop("enhancing_to_whole") == 0.25 and row.pop("draws") == 3
        assert row["whole_ml"] is None and row["whole_ml_low"] is None and row["interval_note"] == "why"

    @pytest.mark.parametrize(
        ("volumes", "expected"),
        [
            ({"whole tumor": 4.0, "Enhancing tumor": 1.0}, 0.25),
            ({"whole tumor": 4.0, "non-enhancing core": 2.0, "enhancing": 1.0}, 0.25),
            ({"whole tumor": 0.0, "enhancing tumor": 0.0}, None),
            ({"whole tumor": 4.0}, None),
        ],
    )
    def test_enhancing_share(self, volumes, expected):
        assert enhancing_ratio(volumes) == expected
        assert ("enhancing_to_whole" in volumes_row(volumes, 0)) == (len(volumes) > 1)


class TestTable:
    def test_rows_are_replaced_sorted_and_keep_their_columns(self, tmp_path):
        file = tmp_path / "volumes.csv"
        write_rows(file, {"b": (["T1", "T2"], [{"liver_ml": 1.5}])})
        write_rows(file, {"a": (["T1"], [{"liver_ml": 2.25, "draws": 10, "ratio": None}])})
        write_rows(file, {"b": (["T2"], [{"liver_ml": 3.0}])})
        rows = rows_of(file)
        assert list(rows) == ["a", "b"]
        assert rows["a"] == {"case": "a", "modalities": "T1", "liver_ml": "2.25", "draws": "10", "ratio": ""}
        assert rows["b"] == {"case": "b", "modalities": "T2", "liver_ml": "3", "draws": "", "ratio": ""}

    def test_a_case_may_have_several_rows(self, tmp_path):
        file = tmp_path / "checks.csv"
        write_rows(file, {"b": (["T1"], [{"modality": "T1", "check": "ok"}])})
        two = [{"modality": "T2", "check": "ok"}, {"modality": "T1", "check": "no"}]
        write_rows(file, {"a": (["T2", "T1"], two)})
        write_rows(file, {"b": (["T1"], [{"modality": "T1", "check": "no"}])})
        assert [line.split(",") for line in file.read_text().splitlines()] == [
            ["case", "modalities", "modality", "check"],
            ["a", "T2+T1", "T2", "ok"],
            ["a", "T2+T1", "T1", "no"],
            ["b", "T1", "T1", "no"],
        ]

    def test_many_at_once(self, tmp_path):
        file = tmp_path / "volumes.csv"
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: write_rows(file, {f"{n:02d}": (["T1"], [{"liver_ml": float(n)}])}), range(30)))
        assert [(name, row["liver_ml"]) for name, row in rows_of(file).items()] == [
            (f"{n:02d}", f"{n}") for n in range(30)
        ]


class TestBesideThePredictions:
    def test_volumes_and_uncertainty(self, tiny_model, tmp_path):
        write_case(tmp_path / "images", "b", spacing=2.0)
        write_case(tmp_path / "images", "a", present=(0, 1), seed=1)
        options = PredictionOptions(sampling=SamplingOptions(3, save_uncertainty=True))
        predictor = HeteroModalPredictor.from_model_folder(
            tiny_model.folder, 0, "cpu", options=options, use_mirroring=False
        )
        predictor.predict_from_files_sequential(str(tmp_path / "images"), str(tmp_path / "out"))
        rows = rows_of(tmp_path / "out" / "volumes.csv")
        assert list(rows) == ["a", "b"] and rows["a"]["modalities"] == "T1+T1c"
        for case, edge in (("a", 1.0), ("b", 2.0)):
            label_map = read_array(tmp_path / "out" / f"{case}.nii.gz")
            for region, labels in REGIONS.items():
                name = region.replace(" ", "_")
                expected = np.isin(label_map, labels).sum() * edge**3 / 1000
                assert float(rows[case][f"{name}_ml"]) == pytest.approx(expected, rel=1e-4)
                for quantity in ("entropy", "mutual_information"):
                    image = read_array(tmp_path / "out" / "uncertainty" / f"{case}_{quantity}_{name}.nii.gz")
                    assert image.shape == label_map.shape and 0 < image.max() <= np.log(2) + 1e-5
            assert rows[case]["draws"] == "3"
        rows = rows_of(tmp_path / "out" / "uncertainty" / "uncertainty.csv")
        assert list(rows) == ["a", "b"]
        assert 0 < float(rows["b"]["whole_tumor_disagreement"]) <= 1
        low, high = (float(rows["b"][f"whole_tumor_ml_draws_p{level}"]) for level in (2.5, 97.5))
        assert 0 < low < high

    def test_without_draws_there_are_no_tables(self, tiny_model, tmp_path):
        write_case(tmp_path / "images", "a")
        options = PredictionOptions(sampling=SamplingOptions(0, save_uncertainty=True))
        predictor = HeteroModalPredictor.from_model_folder(
            tiny_model.folder, 0, "cpu", options=options, use_mirroring=False
        )
        predictor.predict_from_files_sequential(str(tmp_path / "images"), str(tmp_path / "out"))
        assert not list((tmp_path / "out").rglob("*.csv"))
        assert sorted(file.name for file in (tmp_path / "out" / "uncertainty").glob("*.nii.gz")) == [
            "a_entropy_enhancing_tumor.nii.gz",
            "a_entropy_tumor_core.nii.gz",
            "a_entropy_whole_tumor.nii.gz",
        ]
