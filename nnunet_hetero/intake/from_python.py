"""One case from Python: images on any grids in, images on one grid out, and results back again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import SimpleITK as sitk

from nnunet_hetero.cases.image_files import require_file
from nnunet_hetero.cases.image_values import require_usable
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.images.masks import StripProgram
from nnunet_hetero.intake.one_case import PreparedCase, prepare_images
from nnunet_hetero.intake.opening import opened
from nnunet_hetero.intake.options import IntakeOptions, parse_reference
from nnunet_hetero.intake.series import Series
from nnunet_hetero.intake.target import Target

Given = str | os.PathLike | sitk.Image


def prepare_case(
    images: Mapping[str, Given],
    model: str | os.PathLike,
    reference: str | Sequence[str] | None = None,
    register: bool = True,
    strip: str | None = None,
    mask: Given | None = None,
    n4: bool = False,
    keep_background: bool = False,
    case: str = "case",
    common_brain: bool = False,
) -> PreparedCase:
    """Bring the images of a case to one grid and to what a model wants, as ``nnunet_hetero intake`` does.

    Args:
        images: Modality → image, or file in NIfTI, NRRD or MetaImage.
        model: Folder of the trained model.
        reference: Modalities in the order of preference, or ``first``; None is the image with the finest voxels.
        register: Whether images on other grids are registered; otherwise their headers are believed.
        strip: Program that takes off the skull, e.g. ``hd-bet -i {input} -o {output}``.
        mask: Of the brain, on the grid of one of the images.
        n4: Whether bias fields are corrected.
        keep_background: Whether whole heads are meant, although the model was trained without skulls.
        case: Its name, for errors.
        common_brain: Whether images without skull are cut to the brain that all share.

    Raises:
        SettingsError: If a modality is unknown, the model's folder is none, or flags exclude each other.
        DataError: If an image cannot be used, or a registration is not to be believed.

    Examples:
        >>> import SimpleITK
        >>> images = {"T1c": SimpleITK.GetImageFromArray(t1c), "FLAIR": SimpleITK.GetImageFromArray(flair)}  # or files
        >>> prepared = prepare_case(images, model_folder)
        >>> prepared.reference, [fate.became for fate in prepared.fates.values()]
        ('T1c', ['reference', 'same grid'])
        >>> label_map = prepared.images["T1c"] > 0  # in place of a prediction
        >>> prepared.restore(label_map, to="FLAIR").GetSize() == images["FLAIR"].GetSize()
        True
    """
    target = Target.of_model(Path(model))
    target.modalities.parse(images)  # an unknown name, or one twice
    names = {name: target.modalities.names[target.modalities.index(name)] for name in images}
    read = {names[name]: _read(image, names[name], case) for name, image in images.items()}
    if not read:
        raise DataError(f"No image is given. Give at least one of {', '.join(target.modalities.names)}.")
    options = IntakeOptions(
        parse_reference(reference, target.modalities),
        register,
        None if strip is None else StripProgram.parse(strip),
        None if mask is None else str(mask) if isinstance(mask, (str, os.PathLike)) else "that is given",
        n4=n4,
        keep_background=keep_background,
        common_brain=common_brain,
    )
    return prepare_images(case, read, target, options, mask=None if mask is None else _read(mask, "mask", case))


def _read(image: Given, name: str, case: str) -> sitk.Image:
    what = f"Case '{case}', {name}"
    if not isinstance(image, sitk.Image):
        if not isinstance(image, (str, os.PathLike)):
            raise DataError(
                f"{what} is given as {type(image).__name__}; expected is a file or a SimpleITK image, which says where "
                "it lies. SimpleITK.GetImageFromArray makes one of an array; set its spacing, origin and direction."
            )
        file = Path(image)
        require_file(file, what)
        with tempfile.TemporaryDirectory() as scratch:
            return opened(Series(case, file.name, name, "given", ""), file.parent, Path(scratch))
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(
            f"{what} has {image.GetDimension()} axes and {image.GetNumberOfComponentsPerPixel()} value(s) per voxel; "
            "expected are 3 axes and 1 value."
        )
    require_usable(sitk.GetArrayViewFromImage(image), what, reverse=True)
    return image
