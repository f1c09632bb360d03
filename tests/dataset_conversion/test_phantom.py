"""The phantom cohort: reproducible, independent of its size, in the raw BraTS layout, and physically sensible."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.stats import chisquare

from nnunet_hetero.dataset_conversion import brats, phantom
from nnunet_hetero.dataset_conversion.phantom_anatomy import FIELD_OF_VIEW, TISSUES, smooth_noise
from nnunet_hetero.dataset_conversion.phantom_signal import (
    PROPERTIES,
    SEQUENCES,
    Sequence,
    TissueProperties,
    inversion_recovery,
    spin_echo,
    tissue_signal,
)
from nnunet_hetero.errors import DataError

MODALITIES = ("t1", "t1ce", "t2", "flair")


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class TestReproducible:
    def test_same_seed_same_bytes_in_another_process(self, tmp_path):
        phantom.write_cohort(tmp_path / "a", cases=2, size=16, seed=3, progress=False)
        command = [sys.executable, phantom.__file__, "-o", str(tmp_path / "b")]
        subprocess.run([*command, "--cases", "2", "--size", "16", "--seed", "3"], check=True, capture_output=True)
        assert len(_content(tmp_path / "a")) == 11
        assert _content(tmp_path / "a") == _content(tmp_path / "b")

    def test_case_depends_on_seed_and_index_only(self, tmp_path):
        phantom.write_cohort(tmp_path / "many", cases=4, size=16, seed=3, progress=False)
        phantom.write_cohort(tmp_path / "last", cases=1, size=16, seed=3, first_index=4, progress=False)
        last = _content(tmp_path / "last")
        assert {"BraTS20_Phantom_004/BraTS20_Phantom_004_seg.nii.gz"} < set(last)
        assert last.items() <= _content(tmp_path / "many").items()

    def test_other_index_or_seed_is_another_patient(self):
        first = phantom.make_phantom(1, 16, 0)
        for other in (phantom.make_phantom(2, 16, 0), phantom.make_phantom(1, 16, 1)):
            assert not np.array_equal(first["seg"], other["seg"])

    def test_anatomy_is_the_same_at_each_matrix_size(self):
        coarse, fine = (phantom.make_phantom(1, size, 0)["seg"] > 0 for size in (24, 48))
        fine = fine.reshape(24, 2, 24, 2, 24, 2).mean(axis=(1, 3, 5)) > 0.5
        dice = 2 * np.sum(coarse & fine) / (coarse.sum() + fine.sum())
        assert dice > 0.9

    @pytest.mark.parametrize("size", [16, 48])
    def test_smooth_noise_has_unit_variance(self, size):
        fields = [smooth_noise(np.random.default_rng(seed), size, scale=20.0) for seed in range(5)]
        assert abs(np.mean(fields)) < 0.1
        assert 0.85 < np.std(fields) < 1.15


class TestPatient:
    @pytest.fixture(scope="class")
    def patients(self) -> list[dict]:
        return [phantom.make_phantom(index, 48, 0) for index in range(1, 7)]

    def test_types_and_grid(self, patients):
        for patient in patients:
            assert patient["spacing"] == (4.0, 4.0, 4.0)
            assert np.array_equal(np.abs(np.diag(patient["affine"])[:3]), patient["spacing"])
            for modality in MODALITIES:
                assert patient[modality].dtype == np.int16 and patient[modality].shape == (48, 48, 48)
            assert patient["seg"].dtype == np.uint8

    def test_exactly_zero_outside_the_brain_and_nowhere_else(self, patients):
        for patient in patients:
            for modality in MODALITIES:
                assert np.array_equal(patient[modality] > 0, patient["tissue"] > 0)
                assert patient[modality].min() == 0
            edge = np.ones((48, 48, 48), bool)
            edge[2:-2, 2:-2, 2:-2] = False
            assert not np.any(patient["tissue"][edge])  # the brain fits into the field of view

    def test_tumour_has_all_parts_in_the_brain_and_in_plausible_sizes(self, patients):
        for patient in patients:
            volume = {label: np.sum(patient["seg"] == label) * 4.0**3 / 1000 for label in (1, 2, 4)}  # ml
            assert set(np.unique(patient["seg"])) == {0, 1, 2, 4}
            assert np.all(patient["tissue"][patient["seg"] > 0] > 0)
            assert 50 < sum(volume.values()) < 260
            assert 10 < volume[1] + volume[4] < 90
            assert volume[4] > 8

    def test_necrosis_lies_within_the_rim(self, patients):
        for patient in patients:
            necrosis = patient["seg"] == 1
            for axis in range(3):
                for step in (-1, 1):
                    neighbour = np.roll(patient["seg"], step, axis)[necrosis]
                    assert np.mean(np.isin(neighbour, (1, 4))) > 0.95

    def test_tissue_names_match_the_labels(self, patients):
        for patient in patients:
            assert patient["tissue_names"] == TISSUES
            for name, label in (("necrosis", 1), ("oedema", 2), ("enhancing", 4)):
                assert np.array_equal(patient["tissue"] == 1 + TISSUES.index(name), patient["seg"] == label)
            assert {TISSUES[index - 1] for index in np.unique(patient["tissue"]) if index} == set(TISSUES)

    @pytest.mark.parametrize(("index", "size", "seed"), [(0, 24, 0), (1, 15, 0), (1, 24, -1)])
    def test_bad_arguments(self, index, size, seed):
        with pytest.raises(DataError, match="must be at least"):
            phantom.make_phantom(index, size, seed)


class TestSignal:
    @pytest.mark.parametrize(
        ("tr", "te", "expected"),
        [(1e9, 0.0, 0.8), (1000.0 * np.log(2), 0.0, 0.4), (1e9, 100.0 * np.log(4), 0.2), (0.0, 10.0, 0.0)],
    )
    def test_spin_echo(self, tr, te, expected):
        assert spin_echo(0.8, 1000.0, 100.0, tr, te) == pytest.approx(expected)

    @pytest.mark.parametrize(("ti", "expected"), [(0.0, 0.8), (1000.0 * np.log(2), 0.0), (1e9, 0.8)])
    def test_inversion_recovery(self, ti, expected):
        assert inversion_recovery(0.8, 1000.0, 100.0, 1e9, 0.0, ti) == pytest.approx(expected, abs=1e-9)

    def test_contrast_agent_shortens_t1(self):
        tissue = TissueProperties(density=1.0, t1=1000.0, t2=100.0, gadolinium=0.25)  # R1: 1 + 4 · 0.25 = 2 per s
        sequence = Sequence(tr=500.0, te=0.0)
        assert tissue_signal(tissue, sequence) == pytest.approx(1 - np.exp(-0.5))
        enhanced = Sequence(tr=500.0, te=0.0, contrast_agent=True)
        assert tissue_signal(tissue, enhanced) == pytest.approx(1 - np.exp(-1.0))

    @pytest.mark.parametrize(
        ("modality", "order"),
        [
            ("t1", ["csf", "necrosis", "grey_matter", "white_matter"]),
            ("t1ce", ["necrosis", "oedema", "white_matter", "enhancing"]),
            ("t2", ["white_matter", "grey_matter", "oedema", "csf"]),
            ("flair", ["csf", "white_matter", "grey_matter", "oedema"]),
            ("flair", ["necrosis", "enhancing", "oedema"]),
        ],
    )
    def test_contrast_is_that_of_the_clinic(self, modality, order):
        signals = [tissue_signal(PROPERTIES[name], SEQUENCES[modality]) for name in order]
        assert all(low * 1.04 < high for low, high in pairwise(signals))


class TestCohort:
    def test_brats_converter_reads_it(self, tmp_path, nnunet_raw):
        assert phantom.main(["-o", str(tmp_path / "raw"), "--cases", "2", "--size", "16", "--first-index", "9"]) == 0
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "501", "-np", "1"]) == 0
        label = nibabel.load(nnunet_raw / "Dataset501_BraTS" / "labelsTr" / "BraTS20_Phantom_010.nii.gz")
        assert set(np.unique(np.asanyarray(label.dataobj))) <= {0, 1, 2, 3}
        np.testing.assert_allclose(label.header.get_zooms(), FIELD_OF_VIEW / 16)

    def test_interrupted_or_growing_cohort_is_continued(self, tmp_path):
        phantom.write_cohort(tmp_path / "whole", cases=3, size=16, progress=False)
        phantom.write_cohort(tmp_path / "parts", cases=2, size=16, progress=False)
        (tmp_path / "parts/BraTS20_Phantom_002/BraTS20_Phantom_002_t2.nii.gz").unlink()
        names = phantom.write_cohort(tmp_path / "parts", cases=3, size=16, progress=False)
        assert names == [f"BraTS20_Phantom_{index:03d}" for index in (1, 2, 3)]
        assert _content(tmp_path / "parts") == _content(tmp_path / "whole")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--seed", "1"], "Mixing them would make an inconsistent cohort"),
            (["--size", "17"], "Mixing them would make an inconsistent cohort"),
            (["--first-index", "0"], "index is 0; it must be at least 1"),
            (["--size", "8"], "size is 8; it must be at least 16"),
        ],
    )
    def test_bad_requests_leave_the_cohort_alone(self, arguments, message, tmp_path, capsys):
        base = ["-o", str(tmp_path / "raw"), "--cases", "1", "--size", "16"]
        assert phantom.main(base) == 0
        before = _content(tmp_path)
        assert phantom.main([*base, *arguments]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ") and message in error
        assert _content(tmp_path) == before

    @pytest.mark.parametrize("content", ["thesis.docx", "BraTS20_Phantom_001", "phantom.json"])
    def test_foreign_folder_is_refused(self, content, tmp_path, capsys):
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / content).write_text("{")
        assert phantom.main(["-o", str(tmp_path / "raw"), "--cases", "1", "--size", "16"]) == 1
        error = capsys.readouterr().err
        assert content in error and "output folder" in error
        assert _content(tmp_path) == {f"raw/{content}": b"{"}

    def test_file_in_place_of_the_folder(self, tmp_path):
        (tmp_path / "raw").write_text("")
        with pytest.raises(DataError, match="raw is a file"):
            phantom.write_cohort(tmp_path / "raw", cases=1, size=16, progress=False)


class TestGaps:
    def test_every_third_case_lacks_some(self, tmp_path):
        names = phantom.write_cohort(tmp_path, cases=6, size=16, seed=3, progress=False, incomplete=1 / 3)
        files = {name: {path.name for path in (tmp_path / name).iterdir()} for name in names}
        for number, name in enumerate(names, start=1):
            absent = phantom.absent_modalities(number, 3, 1 / 3)
            assert bool(absent) == (number in (3, 6)) and len(absent) < 4
            expected = {f"{name}_{what}.nii.gz" for what in ("seg", *MODALITIES) if what not in absent}
            assert files[name] == expected

    @pytest.mark.parametrize(("share", "expected"), [(0, 0), (1 / 3, 100), (2 / 3, 200), (0.5, 150), (1, 300)])
    def test_share(self, share, expected):
        absent = [phantom.absent_modalities(index, 0, share) for index in range(1, 301)]
        assert sum(map(bool, absent)) == expected

    def test_any_but_all(self):
        absent = [phantom.absent_modalities(index, 0, 1) for index in range(1, 301)]
        assert len(set(absent)) == 14
        numbers = [sum(len(names) == number for names in absent) for number in (1, 2, 3)]
        assert numbers[0] > numbers[1] > numbers[2] > 0 and sum(numbers) == 300
        assert absent != [phantom.absent_modalities(index, 1, 1) for index in range(1, 301)]

    def test_equally_likely(self):
        absent = [phantom.absent_modalities(index, 0, 1, 0.5) for index in range(1, 1401)]
        assert chisquare(list(Counter(absent).values())).pvalue > 0.01 and len(set(absent)) == 14

    @pytest.mark.parametrize("probability", [0, 1, -0.1, float("nan")])
    def test_no_probability(self, probability):
        with pytest.raises(DataError, match="it must be between 0 and 1"):
            phantom.absent_modalities(1, 0, 1, probability)

    def test_the_rest_of_the_case_is_the_same(self, tmp_path):
        for name, share in (("whole", 0), ("gaps", 1)):
            phantom.write_cohort(tmp_path / name, cases=2, size=16, seed=3, progress=False, incomplete=share)
        whole, gaps = (_content(tmp_path / name) for name in ("whole", "gaps"))
        gaps.pop("phantom.json")
        assert gaps.items() < whole.items()

    @pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
    def test_no_share(self, tmp_path, share):
        with pytest.raises(DataError, match="it must be from 0 to 1"):
            phantom.write_cohort(tmp_path, cases=1, size=16, incomplete=share)

    def test_another_share_is_another_cohort(self, tmp_path):
        phantom.write_cohort(tmp_path, cases=1, size=16, progress=False, incomplete=0.5)
        with pytest.raises(DataError, match=r"'incomplete': 0\.5"):
            phantom.write_cohort(tmp_path, cases=1, size=16, progress=False)


class TestVariation:
    def test_more_of_it_spreads_the_contrast(self):
        """Ratio of oedema to white matter in T2, over patients."""

        def spread(variation: float) -> float:
            ratios = []
            for index in range(1, 9):
                case = phantom.make_phantom(index, 24, variation=variation)
                labels = [TISSUES.index(name) + 1 for name in ("oedema", "white_matter")]
                tissue = [case["t2"][case["tissue"] == label].mean() for label in labels]
                ratios.append(np.log(tissue[0] / tissue[1]))
            return float(np.std(ratios))

        assert spread(3.0) > 2 * spread(1.0) > 2 * spread(0.0)

    def test_anatomy_stays(self):
        one, other = (phantom.make_phantom(1, 24, variation=variation) for variation in (1.0, 3.0))
        assert (one["seg"] == other["seg"]).all() and (one["t2"] != other["t2"]).any()

    def test_negative(self):
        with pytest.raises(DataError, match="variation is -1; it must be at least 0"):
            phantom.make_phantom(1, variation=-1)
