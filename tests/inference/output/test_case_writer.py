"""The files of a case: their names, where they lie in space, and what is in them."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from helpers.tiny_model import REGIONS, read_array, tiny_dataset_json, tiny_plans, write_image
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO, NibabelIOWithReorient
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO, SimpleITKIOWithReorient
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.cases.intensity_scale import IntensityScale
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.inference.engine.case_result import CasePrediction, SamplingOptions, Statement
from nnunet_hetero.inference.output import case_writer
from nnunet_hetero.inference.output.case_writer import CaseWriter

OBLIQUE = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
GRID = {"spacing": (1.0, 1.0, 2.0), "origin": (3.0, -4.0, 5.0), "direction": OBLIQUE}
PROPERTIES = {
    "spacing": [2.0, 1.0, 1.0],
    "sitk_stuff": GRID,
    "shape_before_cropping": (6, 5, 4),
    "shape_after_cropping_and_before_resampling": (4, 4, 4),
    "bbox_used_for_cropping": [[1, 5], [0, 4], [0, 4]],
}
EVERYTHING = SamplingOptions(2, save_completed="missing", save_uncertainty=True)


def writer(sampling: SamplingOptions = EVERYTHING, ending: str = ".nii.gz", probabilities: bool = False) -> CaseWriter:
    content = tiny_plans()
    content["configurations"]["3d_fullres"]["spacing"] = [2.0, 1.0, 1.0]
    plans = PlansManager(content)
    dataset = {**tiny_dataset_json(), "file_ending": ending}
    preparation = Preparation(plans, plans.get_configuration("3d_fullres"), dataset)
    regions = {name: tuple(labels) for name, labels in REGIONS.items()}
    return CaseWriter(preparation, regions, sampling, (IntensityScale(),) * 4, probabilities)


SAID = Statement(np.array([0.064, 0.0, 0.0]), np.array([0.25, 0.0, 0.0]), *[np.array([0.8, 0.0, 0.0])] * 3)


def prediction() -> CasePrediction:
    """The whole tumour in the first two of four slices; two draws, T1c completed."""
    logits = np.full((3, 4, 4, 4), -9.0, np.float32)
    logits[0, :2] = 9.0
    maps = np.linspace(0, 0.6, 3 * 64, dtype=np.float32).reshape(3, 4, 4, 4)
    return CasePrediction(
        used=(0, 2, 3),
        draws=2,
        logits=logits,
        completion=np.full((1, 4, 4, 4), 7.0, np.float32),
        completed=(1,),
        entropy=maps,
        mutual_information=maps / 2,
        volumes=np.array([[0.06, 0.0, 0.0], [0.07, 0.0, 0.0]]),
        statement=SAID,
        of_folds=(SAID,),
    )


class TestWritten:
    @pytest.mark.parametrize("probabilities", [False, True])
    def test_exactly_the_expected_files(self, tmp_path, probabilities):
        one = writer(probabilities=probabilities)
        rows = one.write(prediction(), PROPERTIES, tmp_path, "a")
        found = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
        assert found == set(one.expected("a", absent=["T1c"]))
        assert list(rows) == one.tables() == ["volumes.csv", "uncertainty/uncertainty.csv"]

    def test_all_lie_where_the_case_does(self, tmp_path):
        writer().write(prediction(), PROPERTIES, tmp_path, "a")
        images = list(tmp_path.rglob("*.nii.gz"))
        assert len(images) == 1 + 1 + 6
        for file in images:
            image = sitk.ReadImage(str(file))
            assert image.GetSize() == (4, 5, 6) and image.GetSpacing() == GRID["spacing"]
            assert image.GetOrigin() == GRID["origin"] and image.GetDirection() == pytest.approx(OBLIQUE)

    def test_what_is_in_them(self, tmp_path):
        rows = writer().write(prediction(), PROPERTIES, tmp_path, "a")
        label_map = read_array(tmp_path / "a.nii.gz")
        assert (label_map[1:3, :4] == 1).all() and label_map.sum() == 2 * 4 * 4
        entropy = read_array(tmp_path / "uncertainty" / "a_entropy_tumor_core.nii.gz")
        np.testing.assert_allclose(entropy[1:5, :4], prediction().entropy[1], rtol=1e-5)
        assert (entropy[0] == 0).all() and (entropy[:, 4] == 0).all()  # what nnU-Net cropped
        assert rows["volumes.csv"][0]["whole_tumor_ml"] == pytest.approx(32 * 2 / 1000)
        assert rows["uncertainty/uncertainty.csv"][0]["whole_tumor_disagreement"] == 0.25
        about = json.loads((tmp_path / "completed" / "a_0001.json").read_text())
        assert about["modality"] == "T1c" and about["from"] == ["T1", "T2", "FLAIR"]


class TestNames:
    def test_only_what_was_asked_for(self):
        assert writer(SamplingOptions(0)).expected("a", ["T1"]) == ["a.nii.gz"]
        assert writer(SamplingOptions(0)).tables() == []
        assert writer(SamplingOptions(3)).tables() == ["volumes.csv"]

    def test_without_draws_there_is_nothing_to_disagree_about(self):
        names = writer(SamplingOptions(0, save_uncertainty=True)).expected("a", [])
        assert len(names) == 4 and not any("mutual_information" in name for name in names)

    def test_all_modalities_or_those_that_are_missing(self):
        missing, every = (writer(SamplingOptions(0, save_completed=which)) for which in ("missing", "all"))
        assert missing.expected_completed("a", ["T2"]) == ["completed/a_0002.nii.gz", "completed/a_0002.json"]
        assert len(every.expected_completed("a", ["T2"])) == 2 * 4

    @pytest.mark.parametrize(("ending", "images"), [(".nrrd", ".nrrd"), (".png", ".nii.gz"), (".tif", ".nii.gz")])
    def test_images_with_decimals_need_a_format_that_holds_them(self, ending, images):
        one = writer(ending=ending)
        assert one.segmentation("a") == f"a{ending}" and one.completed("a", 3) == f"completed/a_0003{images}"
        assert one.map_of("a", "entropy", "whole tumor") == f"uncertainty/a_entropy_whole_tumor{images}"


@pytest.mark.parametrize("reader", [SimpleITKIO, SimpleITKIOWithReorient, NibabelIO, NibabelIOWithReorient])
def test_an_image_lies_where_its_case_did_whatever_reads_it(tmp_path, reader):
    values = np.random.default_rng(0).random((3, 4, 5), dtype=np.float32)
    write_image(tmp_path / "a.nii.gz", values, 1.5, (3.0, -4.0, 5.0), OBLIQUE)
    seen, properties = reader().read_images([str(tmp_path / "a.nii.gz")])
    case_writer.write_image(tmp_path / "b.nii.gz", seen[0], properties)
    before, after = (nibabel.load(tmp_path / name) for name in ("a.nii.gz", "b.nii.gz"))
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
    np.testing.assert_array_equal(after.get_fdata(), before.get_fdata())
