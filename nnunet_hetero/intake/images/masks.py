"""Brain masks: made by a program of the user's, or given as a file; checked, and applied to all images of a case."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.intake.files.volumes import read_volume
from nnunet_hetero.intake.images import hd_bet
from nnunet_hetero.intake.images.grids import grid_of

INPUT, OUTPUT = "{input}", "{output}"

SHOWN = 300
"""Characters of a program's last words."""

SAME = 1e-3
"""How far the voxels of a stripped image may be from those of the input, as a share of its largest value."""


@dataclass(frozen=True)
class StripProgram:
    """A program that takes the skull off an image.

    Args:
        words: The command, of which one has `INPUT` and one has `OUTPUT` in it; or the name of what is built in.
    """

    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> StripProgram:
        """Read a command line, as a shell would divide it into words; no shell ever sees it.

        Args:
            text: The command line, or `hd_bet.NAME`.

        Raises:
            SettingsError: If it lacks one of the two, a quotation mark is not closed, or HD-BET is not installed.
        """
        if text.strip() == hd_bet.NAME:
            hd_bet.require_installed()
            return cls((hd_bet.NAME,))
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            raise SettingsError(f"--strip {text!r} is no command line ({error}).") from error
        lacking = [place for place in (INPUT, OUTPUT) if place not in " ".join(words)]
        if lacking:
            raise SettingsError(
                f"--strip {text!r} does not say where {' and '.join(lacking)} go(es). Expected: a command that reads "
                'an image and writes its mask, or the image without skull, e.g. "hd-bet -i {input} -o {output}"'
            )
        return cls(words)

    def mask(self, image: sitk.Image, case: str, scratch: Path) -> sitk.Image:
        """Run it on an image.

        Args:
            image: 3D.
            case: For errors.
            scratch: A folder for its input and output.

        Returns:
            0 and 1, on the image's grid.

        Raises:
            SettingsError: If there is no such program.
            DataError: If it fails, or what it writes is no mask of the image.
        """
        source, target = scratch / "strip_input.nii.gz", scratch / "strip_output.nii.gz"
        sitk.WriteImage(image, str(source))
        words = [word.replace(INPUT, str(source)).replace(OUTPUT, str(target)) for word in self._command]
        try:
            done = subprocess.run(
                words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, errors="replace"
            )
        except OSError as error:
            raise SettingsError(
                f"--strip: the program {words[0]} cannot be run ({error.strerror}). Install it, or give its whole path."
            ) from error
        what = f"Case '{case}': the program {self.words[0]} (--strip)"
        if done.returncode:
            words_of_it = " ".join(done.stdout.split())[-SHOWN:]
            raise DataError(f"{what} ended with the code {done.returncode}. It said: {words_of_it or 'nothing'}")
        if not target.is_file():
            raise DataError(f"{what} wrote no {OUTPUT}, a NIfTI file. Does its command line name it rightly?")
        return _as_mask(read_volume(target, f"{what}: its {OUTPUT}"), image, what)

    @property
    def _command(self) -> tuple[str, ...]:
        if self.words == (hd_bet.NAME,):
            return (sys.executable, "-m", hd_bet.__name__, INPUT, OUTPUT)
        return self.words


def given_mask(mask: sitk.Image, what: str) -> sitk.Image:
    """A mask that the user gave, as 0 and 1.

    Args:
        mask: As read.
        what: Case and file, the start of an error.

    Raises:
        DataError: If it has more than two values, or is empty.
    """
    values = np.unique(sitk.GetArrayViewFromImage(mask))
    if values.size > 2 or (values.size == 2 and 0 not in values):
        raise DataError(f"{what} has {values.size} different values; a mask has two, 0 outside and another one inside.")
    if values.size < 2:
        raise DataError(f"{what} is {values[0]:g} throughout, so it is no mask.")
    return sitk.Cast(mask != 0, sitk.sitkUInt8)


def masked(image: sitk.Image, mask: sitk.Image) -> sitk.Image:
    """An image with zeros outside of a mask of its shape; its type stays, and so do its voxels inside."""
    outside = sitk.GetArrayViewFromImage(mask) == 0
    array = sitk.GetArrayFromImage(image)
    array[outside] = 0
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


def _as_mask(found: sitk.Image, image: sitk.Image, what: str) -> sitk.Image:
    """A program may write a mask, or the image without skull."""
    difference = grid_of(found).difference(grid_of(image), "its input")
    if difference:
        raise DataError(f"{what} wrote an image on another grid: {difference}. Expected is a mask of its input.")
    values, before = sitk.GetArrayViewFromImage(found), sitk.GetArrayViewFromImage(image)
    inside = values != 0
    if np.unique(values[inside]).size > 1:
        apart = np.abs(values[inside].astype(float) - before[inside]).max()
        if apart > SAME * max(float(np.abs(before).max()), 1.0):
            raise DataError(
                f"{what} wrote what is neither a mask (0 and 1) nor its input with zeros: voxels differ by up to "
                f"{apart:.4g}."
            )
    if not inside.any() or inside.all():
        raise DataError(f"{what} kept {'all' if inside.all() else 'nothing'} of the image, so it found no brain.")
    # A stripped image may have zeros inside of the brain.
    filled = sitk.BinaryFillhole(sitk.Cast(found != 0, sitk.sitkUInt8))
    filled.CopyInformation(image)
    return filled
