"""How cases are to be prepared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.intake.images.masks import StripProgram
from nnunet_hetero.modalities import Modalities

FIRST = "first"


@dataclass(frozen=True)
class IntakeOptions:
    """What may be chosen.

    Args:
        reference: Modalities in the order of preference, of which the first that a case has is its reference; empty for
            the image with the finest voxels.
        register: Whether images on other grids are registered; otherwise the headers are believed.
        strip: Program that takes off the skull; None for none.
        mask: Path of a mask, or the name of one in each case's folder or zip; None for none.
        common_brain: Whether all images are cut to the brain that they share, those without skull.
        n4: Whether bias fields are corrected.
        keep_background: Whether images with another background than the model's training images are meant so.
        several_patients: Whether images of different patients may stand in one case.
        several_sessions: Whether images of different days may.
    """

    reference: tuple[str, ...] = ()
    register: bool = True
    strip: StripProgram | None = None
    mask: str | None = None
    common_brain: bool = False
    n4: bool = False
    keep_background: bool = False
    several_patients: bool = False
    several_sessions: bool = False

    def __post_init__(self) -> None:
        if self.mask is not None and not self.mask.strip():
            raise SettingsError("--mask is empty. Give the path of a mask, or the name of one in each case.")
        if self.strip is not None and self.mask is not None:
            raise SettingsError("--strip and --mask exclude each other. Leave one out.")
        if self.common_brain and (self.strip is not None or self.mask is not None or self.keep_background):
            raise SettingsError(
                "--common-brain is for images that come without skull: it excludes --strip, --mask and "
                "--keep-background. Leave one out."
            )

    def to_json(self) -> dict[str, Any]:
        """What results depend on."""
        return {
            "reference": list(self.reference),
            "register": self.register,
            "strip": None if self.strip is None else list(self.strip.words),
            "mask": self.mask,
            "common_brain": self.common_brain,
            "n4": self.n4,
            "keep_background": self.keep_background,
            "several_patients": self.several_patients,
            "several_sessions": self.several_sessions,
        }


def parse_reference(text: str | Iterable[str] | None, modalities: Modalities) -> tuple[str, ...]:
    """The order of preference from ``--reference``.

    Args:
        text: Names with commas between, or `FIRST` for the order of the model's channels; None for the finest image.
        modalities: The model's.

    Raises:
        SettingsError: If a modality is unknown or named twice.

    Example:
        >>> parse_reference("flair,t1", Modalities(("T1", "FLAIR")))
        ('FLAIR', 'T1')
    """
    if text is None:
        return ()
    if text == FIRST:
        return modalities.names
    names = text.split(",") if isinstance(text, str) else list(text)
    modalities.parse(names, "--reference")
    return tuple(modalities.names[modalities.index(name)] for name in names)
