"""A case may be stored in any of 48 orientations: the same segmentation comes out, in the orientation it came in."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from helpers.tiny_dataset import threads_for_processes
from helpers.tiny_model import write_case
from nnunetv2.ensembling.ensemble import ensemble_folders
from scipy.spatial.transform import Rotation

from nnunet_hetero.cases.orientation import orientation_of, reoriented, turned
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.complete_cases import complete_cases
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor

ORIENTATIONS = [
    "".join(letters) for order in itertools.permutations(("LR", "PA", "IS")) for letters in itertools.product(*order)
]
OBLIQUE = Rotation.from_euler("xyz", [10, -8, 14], degrees=True).as_matrix()
CASES = {"a": "LPS", "b": "RAS", "c": "SAR", "d": "PIL"}
SHAPE = (10, 12, 14)
GIVEN = ("T1", "T1c", "FLAIR")


@pytest.fixture(scope="module", autouse=True)
def _environment(tiny_model):
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in tiny_model.environment().items():
            monkeypatch.setenv(name, value)
        yield


def make_predictor(folder, samples: int, **sampling) -> HeteroModalPredictor:
    options = PredictionOptions(sampling=SamplingOptions(samples, **sampling))
    return HeteroModalPredictor.from_model_folder(folder, 0, "cpu", options=options, use_mirroring=False)


@pytest.fixture(scope="module")
def predictor(tiny_model):
    return make_predictor(tiny_model.folder, 1)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> dict[str, sitk.Image]:
    """An oblique case without T2, small enough for one tile, stored as the training images: LPS."""
    folder = tmp_path_factory.mktemp("images")
    found = {}
    for name, file in zip(GIVEN, write_case(folder, "a", (0, 1, 3), shape=SHAPE, seed=3), strict=True):
        image = sitk.ReadImage(str(file))
        image.SetDirection(np.ravel(OBLIQUE).tolist())
        image.SetOrigin((12.0, -30.0, 7.0))
        image.SetSpacing((1.0, 1.0, 1.2))
        found[name] = image
    return found


def write(folder, case: str, images, orientation: str) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    files = {}
    for name, image in images.items():
        files[name] = str(folder / f"{case}_{ {'T1': 0, 'T1c': 1, 'FLAIR': 3}[name]:04d}.nii.gz")
        sitk.WriteImage(reoriented(image, orientation), files[name])
    return files


def back(array: np.ndarray, orientation: str) -> np.ndarray:
    return turned(array, orientation[::-1], "SPL")


def require_same(found, expected, orientation: str) -> None:
    """A prediction from Python is another one, voxel by voxel, but for the orientation of its axes."""
    assert np.array_equal(back(found.segmentation, orientation), expected.segmentation)
    assert np.array_equal(back(found.probabilities, orientation), expected.probabilities)
    for what in ("completed", "entropy", "mutual_information", "images"):
        one, other = getattr(found, what), getattr(expected, what)
        assert one.keys() == other.keys()
        for name in one:
            assert np.array_equal(back(one[name], orientation), other[name]), (what, name)
    for name, volume in expected.volumes.items():  # NIfTI's spacings are of single precision
        assert found.volumes[name].millilitres == pytest.approx(volume.millilitres, rel=1e-6)
    assert found.disagreement == expected.disagreement


def test_all_48_give_the_same(predictor, images, tmp_path):
    expected = predictor.predict(write(tmp_path, "a", images, "LPS"))
    assert expected.completed.keys() == {"T2"}
    assert len(np.unique(expected.segmentation)) > 1
    for orientation in ORIENTATIONS:
        files = write(tmp_path, "a", images, orientation)
        found = predictor.predict(files)
        require_same(found, expected, orientation)
        stored = sitk.ReadImage(files["T1"])
        assert found.segmentation.shape == stored.GetSize()[::-1]
        assert found.properties["sitk_stuff"]["direction"] == stored.GetDirection()


def test_arrays_with_an_affine(predictor, images, tmp_path):
    """Nibabel's arrays, whose axes are those of the file, and SimpleITK's, which has them backwards."""
    expected = predictor.predict(write(tmp_path, "a", images, "LPS"))
    for orientation in ("LPS", "RAS", "ASR"):
        files = write(tmp_path, "a", images, orientation)
        loaded = {name: nibabel.load(file) for name, file in files.items()}
        affine = loaded["T1"].affine
        found = predictor.predict({name: image.get_fdata() for name, image in loaded.items()}, affine=affine)
        require_same(found, expected, orientation[::-1])
        backwards = {name: image.get_fdata().transpose(2, 1, 0) for name, image in loaded.items()}
        found = predictor.predict(
            backwards, spacing=(1.2, 1, 1) if orientation[2] == "S" else None, affine=affine[:, [2, 1, 0, 3]]
        )
        require_same(found, expected, orientation)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"affine": np.eye(3)}, "4 x 4"),
        ({"affine": np.diag([1, 1, np.nan, 1])}, "4 x 4"),
        ({"affine": np.diag([1, 1, 0, 1])}, "valid grid"),
        ({"affine": np.eye(4), "spacing": (1, 1, 2)}, "Leave the spacing out"),
    ],
)
def test_wrong_affines(predictor, arguments, message):
    with pytest.raises(SettingsError, match=message):
        predictor.predict({"T1": np.ones(SHAPE)}, **arguments)


def test_files_have_affines_of_their_own(predictor, images, tmp_path):
    with pytest.raises(SettingsError, match="affine is given"):
        predictor.predict(write(tmp_path, "a", images, "LPS"), affine=np.eye(4))


def test_45_degrees(predictor, images, tmp_path):
    """Half way between two axes: all files of the case are turned alike, and the angle is said."""
    turn = np.ravel(Rotation.from_euler("z", 45, degrees=True).as_matrix()).tolist()
    for image in (half_way := {name: sitk.Image(image) for name, image in images.items()}).values():
        image.SetDirection(turn)
    world = None
    for orientation in ("LPS", "PRS", "SAL", "RIP"):
        found = predictor.predict(write(tmp_path, "a", half_way, orientation))
        stored = orientation_of(sitk.ReadImage(str(tmp_path / "a_0000.nii.gz")))
        there = back(found.segmentation, stored)
        world = there if world is None else world
        assert np.array_equal(there, world)


class TestFolders:
    """Without draws, so that cases of other names are comparable."""

    @pytest.fixture(scope="class")
    def source(self, images, tmp_path_factory):
        folder = tmp_path_factory.mktemp("source")
        for case, orientation in CASES.items():
            write(folder, case, images, orientation)
        return folder

    @pytest.fixture(scope="class")
    def output(self, source, tiny_model, tmp_path_factory):
        output = tmp_path_factory.mktemp("output")
        predictor = make_predictor(tiny_model.folder, 0, save_completed="missing", save_uncertainty=True)
        predictor.predict_from_files_sequential(str(source), str(output), save_probabilities=True)
        assert not predictor.failed
        return output

    def test_every_file_lies_on_its_own_case(self, source, output):
        files = sorted(file.relative_to(output).as_posix() for file in output.rglob("a*.nii.gz"))
        assert len(files) == 5  # label map, T2, entropy of three regions
        for case, orientation in CASES.items():
            own = sitk.ReadImage(str(source / f"{case}_0000.nii.gz"))
            for file in files:
                first = sitk.ReadImage(str(output / file))
                found = sitk.ReadImage(str(output / file.replace("a_", f"{case}_").replace("a.nii", f"{case}.nii")))
                assert found.GetSize() == own.GetSize()
                np.testing.assert_allclose(found.GetOrigin(), own.GetOrigin(), atol=1e-5)
                np.testing.assert_allclose(found.GetDirection(), own.GetDirection(), atol=1e-6)
                assert np.array_equal(
                    back(sitk.GetArrayFromImage(found), orientation), sitk.GetArrayFromImage(first)
                ), (case, file)

    def test_probabilities_lie_on_the_label_map(self, output):
        expected = np.load(output / "a.npz")["probabilities"]
        for case, orientation in CASES.items():
            found = np.load(output / f"{case}.npz")["probabilities"]
            assert np.array_equal(back(found, orientation), expected)

    def test_nnunet_ensembles_them(self, output, tmp_path, monkeypatch):
        threads_for_processes(monkeypatch)
        ensemble_folders([str(output), str(output)], str(tmp_path / "ensemble"), num_processes=1)
        for case in CASES:
            one, other = (sitk.ReadImage(str(folder / f"{case}.nii.gz")) for folder in (output, tmp_path / "ensemble"))
            assert np.array_equal(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other))
            np.testing.assert_allclose(one.GetDirection(), other.GetDirection(), atol=1e-6)
            np.testing.assert_allclose(one.GetOrigin(), other.GetOrigin(), atol=1e-5)

    def test_the_books_say_what_was_done(self, output):
        entries = json.loads((output / "modalities.json").read_text())
        runs = json.loads((output / "run.json").read_text())["cases"]
        angle = entries["a"]["orientation"]["oblique_degrees"]
        assert 10 < angle < 20
        for case, orientation in CASES.items():
            expected = {"stored": orientation, "model": "LPS", "oblique_degrees": angle}
            assert entries[case]["orientation"] == runs[case]["orientation"] == expected

    def test_completion_alone(self, source, output, tiny_model, tmp_path):
        predictor = make_predictor(tiny_model.folder, 0, save_completed="missing")
        assert not complete_cases(predictor.model, source, tmp_path / "out", run=predictor.describe_run())
        for case in CASES:
            one, other = (
                sitk.ReadImage(str(folder / "completed" / f"{case}_0002.nii.gz"))
                for folder in (output, tmp_path / "out")
            )
            assert np.array_equal(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other))
        runs = json.loads((tmp_path / "out" / "run.json").read_text())["cases"]
        assert runs["d"]["orientation"]["stored"] == "PIL"

    def test_results_without_files(self, source, output, tiny_model):
        predictor = make_predictor(tiny_model.folder, 0)
        found = predictor.predict_from_files(
            [[str(file) for file in sorted(source.glob("c_*"))]], None, True, True, 0, 0
        )
        label_map, probabilities = found[0]
        assert np.array_equal(label_map, sitk.GetArrayFromImage(sitk.ReadImage(str(output / "c.nii.gz"))))
        assert np.array_equal(probabilities, np.load(output / "c.npz")["probabilities"])

    def test_arrays_by_nnunets_methods(self, source, output, tiny_model):
        predictor = make_predictor(tiny_model.folder, 0)
        reader = predictor.plans_manager.image_reader_writer_class()
        files = sorted(map(str, source.glob("d_*")))
        images, properties = reader.read_images(files)
        images = np.insert(images, 2, 0, axis=0)
        found = predictor.predict_single_npy_array(images, properties)
        assert np.array_equal(found, sitk.GetArrayFromImage(sitk.ReadImage(str(output / "d.nii.gz"))))
        # What nnU-Net has prepared in the order of the file is not what the model knows.
        with pytest.raises(SettingsError, match=r"stored in the orientation PIL.*trained on LPS"):
            predictor.predict_case(torch.from_numpy(images), properties, "d")


def test_one_case_in_several_orientations(predictor, images, tmp_path):
    """Files of one case that lie on one grid in space, but store it in other orders, belong together."""
    expected = predictor.predict(write(tmp_path / "one", "a", images, "LPS"))
    files = {
        name: write(tmp_path / orientation, "a", {name: images[name]}, orientation)[name]
        for name, orientation in zip(images, ("RAS", "SPL", "AIR"), strict=True)
    }
    found = predictor.predict(files)
    without = (dataclasses.replace(prediction, images={}) for prediction in (found, expected))
    require_same(*without, "RAS")


class TestModelsOfBefore:
    @pytest.fixture
    def model(self, tiny_model, tmp_path):
        folder = tmp_path / tiny_model.dataset / tiny_model.folder.name
        shutil.copytree(tiny_model.folder, folder)
        for file in folder.glob("fold_*/*.pth"):
            content = torch.load(file, weights_only=False)
            del content["hetero_modal"]["orientation"]
            torch.save(content, file)
        return folder

    def test_cases_are_taken_as_stored(self, model, predictor, images, tmp_path, capsys):
        old = make_predictor(model, 1)
        said = capsys.readouterr().out
        assert said.count("does not say which orientation") == 1
        assert old.model.orientation is None
        found = old.predict(write(tmp_path, "a", images, "LPS"))
        require_same(found, predictor.predict(write(tmp_path, "a", images, "LPS")), "LPS")
        turned_case = old.predict(write(tmp_path, "a", images, "RAS"))
        assert not np.array_equal(back(turned_case.segmentation, "RAS"), found.segmentation)

    def test_a_fold_that_knows_settles_it(self, model, tiny_model, capsys):
        shutil.copy(tiny_model.folder / "fold_1" / "checkpoint_final.pth", model / "fold_1" / "checkpoint_final.pth")
        predictor = HeteroModalPredictor.from_model_folder(model, None, "cpu")
        assert predictor.model.orientation == "LPS"
        assert "orientation" not in capsys.readouterr().out


def test_folds_of_different_orientations(tiny_model, tmp_path):
    folder = tmp_path / tiny_model.dataset / tiny_model.folder.name
    shutil.copytree(tiny_model.folder, folder)
    file = folder / "fold_1" / "checkpoint_final.pth"
    content = torch.load(file, weights_only=False)
    content["hetero_modal"]["orientation"] = "RAS"
    torch.save(content, file)
    with pytest.raises(SettingsError, match="no folds of one model: their orientation is LPS and RAS"):
        HeteroModalPredictor.from_model_folder(folder, None, "cpu")
