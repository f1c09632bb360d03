"""Kind 1: absence inferred from names, or decided after the image has acted."""

from __future__ import annotations

import gzip
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import torch
from helpers.tiny_model import SHAPE, read_array, write_case, write_image, write_tiny_model
from public_reports.situation import MODEL, Place, Situation

from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.predictor import HeteroModalPredictor

CPU = ("-device", "cpu")


def _no_image_left(place: Place) -> int:
    write_case(place.images, "a", present=(1,))
    return place.predict("--missing", "t1c")


def _rename_t1c(folder: Path, name: str) -> None:
    """Give channel 1 of case X another name, in the format that the name says."""
    file = folder / "X_0001.nii.gz"
    if name.endswith("/"):
        (folder / name).mkdir()
        shutil.move(file, folder / name / "image.dcm")
    elif name.lower().endswith((".nii", ".nrrd")):
        image = read_array(file)
        file.unlink()
        write_image((folder / name).with_suffix((folder / name).suffix.lower()), image)
        (folder / name).with_suffix((folder / name).suffix.lower()).rename(folder / name)
    else:
        shutil.move(file, folder / name)


def _named(name: str) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        write_case(place.images, "X")
        write_case(place.images, "good", seed=1)
        _rename_t1c(place.images, name)
        return place.predict()

    return act


def _only_the_good_case(place: Place) -> None:
    assert place.written() == [
        *("dataset.json", "failed.json", "good.nii.gz", "modalities.json", "plans.json"),
        *("predict_from_raw_data_args.json", "run.json", "volumes.csv"),
    ]


def _nothing_segmented(place: Place) -> None:
    assert not [file for file in place.written() if file.endswith(".gz")]


def _of_another_patient(place: Place) -> int:
    """ITK takes the header from X_0000.nii.gz and the voxels from X_0000.nii."""
    write_case(place.images, "X")
    write_case(place.folder / "other", "X", seed=7)
    for file in (place.folder / "other").iterdir():
        with gzip.open(file) as stream:
            (place.images / file.name.removesuffix(".gz")).write_bytes(stream.read())
    return place.predict()


def _mixture_from_python(place: Place) -> int:
    """A list of files does not look at names, the reader does."""
    _of_another_patient_files(place)
    predictor = HeteroModalPredictor.from_model_folder(place.model.folder, folds=0, device="cpu")
    try:
        predictor.predict({"T1": place.images / "X_0000.nii.gz"})
    except DataError as error:
        print(error)
        return 1
    return 0


def _of_another_patient_files(place: Place) -> None:
    write_case(place.images, "X")
    write_image(place.images / "X_0000.nii", read_array(place.images / "X_0001.nii.gz"))


def _complete(place: Place) -> int:
    write_case(place.images, "X")
    _rename_t1c(place.images, "X_0001.nii")
    flags = (*MODEL, *CPU)
    return place.run("complete", "-i", place.images, "-o", place.out, *flags, "-npp", "0")


def _evaluate(place: Place, rename: Callable[[Path, Path], None]) -> int:
    labels = place.folder / "labels"
    write_case(place.images, "X", labels=labels)
    rename(place.images, labels)
    flags = (*MODEL, *CPU, "--subsets", "T1", "--disable_tta")
    return place.run("evaluate", "-i", place.images, "-l", labels, "-o", place.out, *flags)


def _label_of_other_ending(images: Path, labels: Path) -> None:
    with gzip.open(labels / "X.nii.gz") as stream:
        (labels / "X.nii").write_bytes(stream.read())
    (labels / "X.nii.gz").unlink()


def _two_labels(images: Path, labels: Path) -> None:
    write_image(labels / "X.nii", np.zeros(SHAPE, np.uint8))


def _validation_case(place: Place) -> int:
    model = place.own_model()
    case = "case_00"
    file = model.images / f"{case}_0001.nii.gz"
    with gzip.open(file) as stream:
        file.with_suffix("").write_bytes(stream.read())
    file.unlink()
    flags = (*MODEL, *CPU, "--subsets", "T1", "--disable_tta")
    return place.run("evaluate", "-o", place.out, *flags)


def _fill_gaps(place: Place) -> int:
    model = place.own_model()
    _mis_spell(model.images)
    return place.run("fill-gaps", "-d", "501")


def _mis_spell(images: Path) -> None:
    (images / "case_00_0001.nii.gz").rename(images / "case_00-0001.nii.gz")


def _letters(place: Place) -> int:
    write_case(place.images, "X", present=(0,))
    write_case(place.images, "x", present=(1,))
    return place.predict()


def _patients(place: Place, *flags: str) -> int:
    write_case(place.images, "BRATS", present=(1, 2, 3))
    return place.predict(*flags)


def _no_false_alarm(place: Place) -> int:
    write_case(place.images, "CASE", present=(0,))
    write_case(place.images, "CASE_1", present=(0, 1), seed=1)
    for name in ("CASE_1", "CASE", "CASE_1_mask", "._CASE_0001"):
        write_image(place.images / f"{name}.nii.gz", np.ones(SHAPE, np.uint8))
    (place.images / "CASE_0001.json").write_text("{}")
    return place.predict()


# -- 3 ----------------------------------------------------------------------------------------------------------------


def _constant(place: Place, value: float, present=(0, 1, 2, 3)) -> int:
    write_case(place.images, "a", present=present)
    write_image(place.images / "a_0001.nii.gz", np.full(SHAPE, value, np.float32))
    code = place.predict("--save_probabilities")
    return code or place.predict("--save_probabilities", "--missing", "t1c", output=place.folder / "reference")


def _same_as_missing(place: Place) -> None:
    for name in ("a.nii.gz", "volumes.csv"):
        assert (place.out / name).read_bytes() == (place.folder / "reference" / name).read_bytes()
    found, expected = (np.load(folder / "a.npz")["probabilities"] for folder in (place.out, place.folder / "reference"))
    assert np.array_equal(found, expected)


# -- 4 ----------------------------------------------------------------------------------------------------------------


def _value(place: Place, value: float, dtype: type) -> int:
    write_case(place.images, "a")
    file = place.images / "a_0001.nii.gz"
    stored = nibabel.load(file)
    image = np.asanyarray(stored.dataobj).astype(dtype)
    image[7, 8, 9] = value
    nibabel.save(nibabel.Nifti1Image(image, stored.affine), file)
    return place.predict()


# -- 5 ----------------------------------------------------------------------------------------------------------------


def _by_nnunets_command(place: Place) -> int:
    """``nnunet_hetero env`` alone: nnU-Net finds our trainer, and predicts with its own predictor."""
    from nnunetv2.inference.predict_from_raw_data import predict_entry_point

    write_case(place.images, "a", present=(0, 2))
    argv = ["nnUNetv2_predict", "-i", place.images, "-o", place.out, *MODEL, "-tr", "HeteroModalVAETrainer", *CPU]
    place.monkeypatch.setattr(sys, "argv", [str(word) for word in argv])
    try:
        predict_entry_point()
    except SystemExit as end:
        print(end.code)
        return int(end.code is not None)
    return 0


def _arrays_prepared_by_nnunet(place: Place) -> int:
    """An absent CT is a constant once nnU-Net has normalised it."""
    model = write_tiny_model(place.folder / "ct", channels=("CT", "T1"), scheme="CTNormalization")
    predictor = HeteroModalPredictor.from_model_folder(model.folder, folds=0, device="cpu")
    image = np.random.default_rng(0).uniform(1, 9, (2, *SHAPE)).astype(np.float32)
    image[0] = 0
    preprocessor = predictor.configuration_manager.preprocessor_class(verbose=False)
    managers = predictor.plans_manager, predictor.configuration_manager, predictor.dataset_json
    data, _, properties = preprocessor.run_case_npy(image, None, {"spacing": [1.0] * 3}, *managers)
    try:
        predictor.predict_from_data_iterator(
            [{"data": torch.from_numpy(data), "data_properties": properties, "ofile": None}], False, 0
        )
    except DataError as error:
        print(error)
        return 1
    return 0


def _background(place: Place) -> int:
    write_case(place.images, "a")
    file = place.images / "a_0001.nii.gz"
    image = read_array(file)
    write_image(file, np.where(image == 0, np.float32(-1000), image))
    return place.predict()


RENAMED = (
    *("X_0001.nii", "X_0001.NII.GZ", "X_1.nii.gz", "X_001.nii.gz", "X-0001.nii.gz", "X_0001 (1).nii.gz"),
    *("x_0001.nii", "X_T1c.nii.gz", "X_t1ce.nii.gz", "X_0001.nrrd", "X_0001.nii.gz.part", "X_0001/"),
    *("X_O001.nii.gz", ".X_0001.nii.gz.icloud"),
)

SITUATIONS = [
    Situation(
        "background",
        "an image whose background is -1000",
        _background,
        0,
        says=("WARNING: Case 'a': T1c is -1000 in all corners",),
    ),
    Situation("1", "the only image is switched off", _no_image_left, says=("no modality left", "switched off")),
    *(
        Situation(
            f"1-{name}",
            "an image under a name that is not quite right",
            _named(name),
            says=("Case 'X' has no T1c (channel 1)", f"{name} lies there and could be it"),
            check=_only_the_good_case,
        )
        for name in RENAMED
    ),
    Situation("1b", "all channels twice, of another patient", _of_another_patient, says=("both claim channel 0 (T1)",)),
    Situation("1c", "the same, from Python", _mixture_from_python, says=("has X_0000.nii beside it",)),
    Situation("1d", "the same name in complete", _complete, says=("X_0001.nii lies there and could be it",)),
    Situation(
        "1e",
        "an image to evaluate",
        partial(_evaluate, rename=lambda images, labels: _rename_t1c(images, "X_0001.nii")),
        says=("X_0001.nii lies there and could be it",),
    ),
    Situation(
        "1f", "a label map", partial(_evaluate, rename=_label_of_other_ending), says=("X.nii, which could be it",)
    ),
    Situation("1g", "two label maps", partial(_evaluate, rename=_two_labels), says=("has X.nii beside it",)),
    Situation("1h", "a validation case", _validation_case, says=("case_00_0001.nii lies there and could be it",)),
    Situation("1i", "a training case", _fill_gaps, says=("case_00-0001.nii.gz lies there and could be it",)),
    Situation("1j", "letters of a case's name", _letters, 0, says=("'X' and 'x' are taken for different cases",)),
    Situation("1k", "patients read as channels", _patients, says=("Are these patients, not modalities?",)),
    Situation(
        "1l",
        "the same, said to be channels",
        lambda place: _patients(place, "--missing", "t1"),
        0,
        check=lambda place: (place.out / "BRATS.nii.gz").stat(),
    ),
    Situation(
        "1m",
        "names that are right: no false alarm",
        _no_false_alarm,
        0,
        check=lambda place: [(place.out / f"{case}.nii.gz").stat() for case in ("CASE", "CASE_1")],
    ),
    Situation("3", "a constant image", partial(_constant, value=7), 0, ("absent: T1c",), check=_same_as_missing),
    Situation("3b", "a constant that float32 rounds", partial(_constant, value=0.1), 0, check=_same_as_missing),
    Situation(
        "3c",
        "a constant beside one image",
        partial(_constant, value=-1000, present=(0,)),
        0,
        check=_same_as_missing,
    ),
    Situation(
        "4",
        "a value beyond float32",
        partial(_value, value=1e39, dtype=np.float64),
        says=("Case 'a': channel 1 (T1c)", "voxel (7, 8, 9) is 1e+39"),
    ),
    Situation(
        "4b",
        "a value whose square is beyond float32",
        partial(_value, value=3e38, dtype=np.float32),
        says=("standard deviation is not finite", "voxel (7, 8, 9) is 3e+38"),
    ),
    Situation(
        "4c",
        "a value that flattens all others",
        partial(_value, value=1e12, dtype=np.float32),
        says=("voxel (7, 8, 9) is 1e+12",),
    ),
    Situation(
        "5",
        "nnUNetv2_predict without activation",
        _by_nnunets_command,
        says=("nnU-Net's own predictor cannot predict", "nnunet_hetero predict", "nnunet_hetero activate"),
        check=_nothing_segmented,
    ),
    Situation(
        "5b",
        "images that nnU-Net has prepared",
        _arrays_prepared_by_nnunet,
        says=("CT has one value throughout", "Let this predictor prepare the images"),
    ),
]
