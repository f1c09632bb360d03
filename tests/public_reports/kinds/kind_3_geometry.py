"""Kind 3: two readers of one header, two tolerances, one file that is read and refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from helpers.cohorts.headers import affine, write_nifti
from helpers.tiny_model import read_array, write_case, write_image
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from public_reports.situation import Place, Situation

EDGES = (1.5, 1.5, 6.0)
STRAIGHT, TURNED = affine(EDGES), affine(EDGES, angle=0.3)
# What a header says, and what is said of it.
HEADERS = {
    "9 ACDC: sform and pixdim differ": ({"sform": np.eye(4), "pixdim": EDGES}, "has two spacings, (1.5, 1.5, 6)"),
    "9a neither sform nor qform": ({"pixdim": EDGES}, "has neither sform nor qform"),
    "9b sform and qform differ": ({"sform": TURNED, "qform": STRAIGHT, "codes": (4, 1)}, "sform and qform"),
    "9c a sheared sform beside a sound qform": ({"sform": affine(EDGES, shear=0.5), "qform": STRAIGHT}, "two spacings"),
}
SHEARED = {"sform": affine(EDGES, shear=0.5)}
SAYS_SHEARED = ("its axes are not at right angles",)


def _voxels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 900, (20, 18, 6)).astype(np.int16)


def _cohort(place: Place, header: dict, packed: bool = True) -> Path:
    for number, name in enumerate(("T1", "T2", "label")):
        data = _voxels(number) if name != "label" else (_voxels(2) > 700).astype(np.uint8)
        write_nifti(place.folder / f"{name}.nii.gz", data, **header, packed=packed)
    (place.folder / "cohort.csv").write_text("case,T1,T2,label\na,T1.nii.gz,T2.nii.gz,label.nii.gz\n")
    return place.folder / "cohort.csv"


def _convert(place: Place, header: dict, packed: bool = True) -> int:
    return place.convert("csv", _cohort(place, header, packed), "--classes", "core=1")


def _predict(place: Place, header: dict, packed: bool = True) -> int:
    for channel in range(4):
        write_nifti(place.images / f"a_{channel:04d}.nii.gz", _voxels(channel), **header, packed=packed)
    return place.predict()


def _as_the_reader_says(place: Place) -> None:
    """Spacing and place of the dataset are those that nnU-Net reads of the source, and so are the millilitres."""
    (_, source), (_, made) = (
        SimpleITKIO().read_images([str(file)])
        for file in (place.folder / "T1.nii.gz", place.converted / "Dataset502_X/imagesTr/a_0000.nii.gz")
    )
    assert np.allclose(source["spacing"], EDGES[::-1])
    for what in ("spacing", "origin", "direction"):
        np.testing.assert_allclose(made["sitk_stuff"][what], source["sitk_stuff"][what], atol=1e-5)


def _predicted_spacing(place: Place) -> None:
    _, properties = SimpleITKIO().read_images([str(place.out / "a.nii.gz")])
    np.testing.assert_allclose(properties["spacing"], EDGES[::-1], atol=1e-5)


def _off(place: Place, command: Callable[[Place], int], share: float, edge: float = 6.0) -> int:
    """T2 lies off by a share of a voxel."""
    write_case(place.images, "a", shape=(6, 6, 6), spacing=edge, labels=place.folder / "labels")
    file = place.images / "a_0002.nii.gz"
    write_image(file, read_array(file), edge, origin=(share * edge, 0, 0))
    return command(place)


def _evaluate(place: Place) -> int:
    model = ("-d", "501", "-c", "3d_fullres", "-f", "0", "-device", "cpu", "--disable_progress_bar")
    labels = place.folder / "labels"
    return place.run("evaluate", "-i", place.images, "-l", labels, "-o", place.out, *model, "--subsets", "T1+T2")


def _convert_images(place: Place) -> int:
    table = place.folder / "cohort.csv"
    table.write_text("case,T1,T2,label\na,images/a_0000.nii.gz,images/a_0002.nii.gz,labels/a.nii.gz\n")
    return place.convert("csv", table, "--classes", "edema=1", "core=2", "enhancing=3")


def _fill_gaps(place: Place) -> int:
    (place.images / "a_0001.nii.gz").unlink()
    return place.run("fill-gaps", "-i", place.images, "-d", "501")


ACCEPTED, OTHER_GRID = "up to 0.00083 of a voxel edge (up to 0.05 counts as one grid)", "up to 0.05 counts as one grid"

SITUATIONS = [
    *(
        Situation(*title.split(" ", 1), partial(_convert, header=header), 0, (says,), check=_as_the_reader_says)
        for title, (header, says) in HEADERS.items()
    ),
    *(
        Situation(
            f"{title.split()[0]} predict", title, partial(_predict, header=header), 0, (says,), check=_predicted_spacing
        )
        for title, (header, says) in HEADERS.items()
    ),
    Situation("9d", "a sheared grid", partial(_convert, header=SHEARED), says=SAYS_SHEARED),
    Situation("9d predict", "a sheared grid", partial(_predict, header=SHEARED), says=SAYS_SHEARED),
    Situation("10", "0.005 mm at 6 mm", partial(_off, command=Place.predict, share=5 / 6000), 0, (ACCEPTED,)),
    Situation("10a", "the same, converted", partial(_off, command=_convert_images, share=5 / 6000), 0),
    Situation("10b", "the same, evaluated", partial(_off, command=_evaluate, share=5 / 6000), 0, (ACCEPTED,)),
    Situation("10c", "the same, with gaps filled", partial(_off, command=_fill_gaps, share=5 / 6000), 0, (ACCEPTED,)),
    *(
        Situation(
            f"10{letter}", f"half a voxel, {letter}", partial(_off, command=command, share=0.5), says=(OTHER_GRID,)
        )
        for letter, command in zip("defg", (Place.predict, _convert_images, _evaluate, _fill_gaps), strict=True)
    ),
    Situation("11", "an unpacked file named .nii.gz", partial(_predict, header={"qform": STRAIGHT}, packed=False), 0),
    Situation(
        "11a",
        "the same, converted",
        partial(_convert, header={"qform": STRAIGHT}, packed=False),
        0,
        check=_as_the_reader_says,
    ),
]
