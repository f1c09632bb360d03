"""The images of a case as they were read, absent ones as zeros."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_hetero.cases.image_values import absence, require_usable
from nnunet_hetero.cases.oriented_reader import oriented
from nnunet_hetero.errors import DataError, the_case
from nnunet_hetero.modalities import Modalities, Subset

NO_FILE = "no file"
SWITCHED_OFF = "switched off"


@dataclass(frozen=True)
class CaseImages:
    """What was read of a case.

    Args:
        name: Case identifier.
        modalities: The dataset's modalities.
        data: Images as read, ``(M, *spatial)`` float32, absent channels zero.
        properties: Per channel what nnU-Net's reader says about the grid, None for absent channels.
        absent: Why each absent channel is absent, by channel: ``no file``, ``switched off``, ``empty image`` or
            ``constant image``, see `image_values.absence`.
    """

    name: str
    modalities: Modalities
    data: np.ndarray
    properties: tuple[dict | None, ...]
    absent: dict[int, str]

    @classmethod
    def of_arrays(
        cls,
        name: str,
        modalities: Modalities,
        images: Mapping[int, np.ndarray],
        properties: dict,
        kept: Subset,
        orientation: str | None = None,
    ) -> CaseImages:
        """Images that were not read from files, checked as files are.

        Args:
            name: Case identifier.
            modalities: The dataset's modalities.
            images: By channel, ``(z, y, x)`` each; what is not given is absent.
            properties: Of the grid, as nnU-Net's readers give them; at least ``spacing``.
            kept: Channels that may be used.
            orientation: That of the model; arrays whose properties place them in space are brought to it.

        Raises:
            DataError: If shapes differ, values cannot be computed with, or no modality is left.
        """
        shape = next(iter(images.values())).shape
        data = np.zeros((len(modalities), *shape), np.float32)
        absent = {}
        for channel, modality in enumerate(modalities.names):
            what = f"{the_case(name)}: the array of {modality}"
            image = images.get(channel)
            if image is None:
                absent[channel] = NO_FILE
                continue
            if image.ndim != 3 or image.shape != shape:
                raise DataError(f"{what} has shape {image.shape}; all must be 3D and of one shape, here {shape}.")
            if channel not in kept:
                absent[channel] = SWITCHED_OFF
                continue
            require_usable(image, what)
            reason = absence(image)
            if reason is None:
                data[channel] = image
            else:
                absent[channel] = reason
        if len(absent) == len(modalities):
            reasons = ", ".join(f"{modalities.names[channel]}: {reason}" for channel, reason in absent.items())
            raise DataError(f"{the_case(name)} has no modality left ({reasons}).")
        data, properties = oriented(data, properties, orientation)
        grids = tuple(None if channel in absent else properties for channel in range(len(modalities)))
        return cls(name, modalities, data, grids, absent)

    @property
    def used(self) -> Subset:
        """The channels that hold an image."""
        return tuple(channel for channel in range(len(self.modalities)) if channel not in self.absent)

    def grid_of(self, channel: int) -> dict:
        """What nnU-Net's reader says about the grid of a modality that is there.

        Raises:
            KeyError: If it is absent.
        """
        properties = self.properties[channel]
        if properties is None:
            raise KeyError(self.modalities.names[channel])
        return properties

    def restricted_to(self, subset: Iterable[int]) -> CaseImages:
        """The same case without the modalities outside of ``subset``."""
        return self.without([channel for channel in self.used if channel not in set(subset)], SWITCHED_OFF)

    def without(self, channels: Sequence[int], reason: str) -> CaseImages:
        """The same case without some of its modalities."""
        if not channels:
            return self
        data = self.data.copy()
        data[list(channels)] = 0
        properties = tuple(None if channel in channels else entry for channel, entry in enumerate(self.properties))
        absent = {**self.absent, **dict.fromkeys(channels, reason)}
        return CaseImages(self.name, self.modalities, data, properties, absent)
