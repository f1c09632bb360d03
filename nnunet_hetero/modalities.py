"""Modalities by name, and subsets of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np

from nnunet_hetero.errors import SettingsError

Subset = tuple[int, ...]
"""A set of modalities as sorted channel numbers, e.g. ``(0, 3)``; ``()`` is the empty set."""


NORMALISATIONS = ("CT", "noNorm", "zscore", "rescale_to_0_1", "rgb_to_0_1")
"""Channel names by which nnU-Net chooses a normalisation, upper and lower case alike; all others get the z-score."""


@dataclass(frozen=True)
class Modalities:
    """The modalities of a dataset, in channel order.

    Args:
        names: One name per channel, e.g. ``("T1", "T1c", "T2", "FLAIR")``.

    Examples:
        >>> modalities = Modalities(("T1", "T1c", "T2", "FLAIR"))
        >>> modalities.parse(["flair+t1"]), modalities.label((0, 3))
        ((0, 3), 'T1+FLAIR')
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        lowered = [name.lower() for name in self.names]
        repeated = sorted({name for name in lowered if lowered.count(name) > 1})
        if repeated:
            raise SettingsError(
                f"The dataset names these modalities more than once (upper and lower case are the same): {repeated}. "
                "Give each channel its own name under 'channel_names' in dataset.json."
            )

    @classmethod
    def from_dataset_json(cls, dataset_json: Mapping) -> Modalities:
        """Read the names from nnU-Net's ``dataset.json`` (``channel_names``, or ``modality`` of old datasets).

        The key is the number in the files' names. Blanks around a name are no part of it.

        Raises:
            SettingsError: If there are no names, the keys are not 0, 1, 2, ..., a name is empty or there twice, or
                nnU-Net, which goes by the order of the entries and by every blank, would normalise otherwise.

        Examples:
            >>> Modalities.from_dataset_json({"channel_names": {"0": "T1", "1": "T1c "}}).names
            ('T1', 'T1c')
        """
        key = "channel_names" if "channel_names" in dataset_json else "modality"
        channels = dataset_json.get(key)
        if not channels:
            raise SettingsError("dataset.json has no 'channel_names'; it must name each input channel.")
        expected = [str(number) for number in range(len(channels))]
        if not isinstance(channels, Mapping) or sorted(map(str, channels), key=_number) != expected:
            raise SettingsError(
                f"'{key}' in dataset.json is {_shown(channels)}; expected is an object whose keys are the channels' "
                'numbers from 0 on, as in the names of the files, e.g. {"0": "T1", "1": "T2"}.'
            )
        by_number = {str(number): str(name) for number, name in channels.items()}
        written = [by_number[number] for number in expected]
        names = tuple(name.strip() for name in written)
        if not all(names):
            raise SettingsError(f"'{key}' in dataset.json is {_shown(channels)}; every channel needs a name.")
        # nnU-Net's planner takes the entries as they come, and a name with a blank for one that it does not know.
        as_planned = [_normalisation(str(name)) for name in channels.values()]
        if as_planned != [_normalisation(name) for name in names]:
            raise SettingsError(
                f"'{key}' in dataset.json is {_shown(channels)}: nnU-Net would choose the normalisations "
                f"{', '.join(as_planned)} for the channels 0 to {len(names) - 1}. Put the entries in the order of "
                "their numbers, without blanks around the names, and plan again."
            )
        return cls(names)

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str | int) -> int:
        """Channel number of a modality given by name (case-insensitive) or by number.

        Raises:
            SettingsError: If no modality has this name or number.
        """
        text = str(name).strip()
        lowered = [known.lower() for known in self.names]
        if text.lower() in lowered:
            return lowered.index(text.lower())
        if text.isdigit() and int(text) < len(self.names):
            return int(text)
        known = ", ".join(f"{name} ({number})" for number, name in enumerate(self.names))
        raise SettingsError(f"Unknown modality '{name}'. This dataset has: {known}.")

    def parse(self, names: Iterable[str | int], what: str = "modalities") -> Subset:
        """Sorted channel numbers of several modalities.

        Args:
            names: Names or numbers; a name with commas or plus signs counts as several.
            what: What the list stands for, for the error's text (e.g. ``--missing``).

        Raises:
            SettingsError: If a modality is unknown or named twice.
        """
        parts = chain.from_iterable(self._split(str(name)) for name in names)
        found = [self.index(part) for part in parts]
        for channel in found:
            if found.count(channel) > 1:
                raise SettingsError(f"{what}: modality '{self.names[channel]}' is named more than once. Name it once.")
        return tuple(sorted(found))

    def _split(self, text: str) -> list[str]:
        """Names in a text such as ``T1+FLAIR``; a name that holds such a sign itself (``T1+Gd``) stays whole."""
        known = "|".join(re.escape(name) for name in sorted(self.names, key=len, reverse=True))
        return re.findall(rf"(?:{known})(?=\s*(?:[+,]|$))|[^+,\s][^+,]*", text, re.IGNORECASE)

    def label(self, subset: Iterable[int]) -> str:
        """Readable name of a subset, e.g. ``T1+FLAIR``; ``none`` for the empty set."""
        return "+".join(self.names[channel] for channel in sorted(subset)) or "none"


def all_subsets(number: int) -> list[Subset]:
    """The 2^M - 1 non-empty subsets of ``number`` modalities, by size, then by channel numbers.

    Examples:
        >>> all_subsets(2)
        [(0,), (1,), (0, 1)]
    """
    return list(chain.from_iterable(combinations(range(number), size) for size in range(1, number + 1)))


def by_size(subsets: Iterable[Subset]) -> tuple[Subset, ...]:
    """The different ones among some subsets, by size, then by channel numbers.

    Examples:
        >>> by_size([(0, 1), (2,), (0,), (2,)])
        ((0,), (2,), (0, 1))
    """
    return tuple(sorted(set(subsets), key=lambda subset: (len(subset), subset)))


def parse_subsets(modalities: Modalities, texts: Iterable[str] | None, required: Subset | None = None) -> list[Subset]:
    """Subsets from texts such as ``T1+FLAIR``; None gives all 2^M - 1, or the one that the network is for.

    Args:
        modalities: The model's.
        texts: What the user named.
        required: The only subset that the network can be given; None if it takes any.

    Raises:
        SettingsError: If a modality is unknown or repeated, a subset is empty or repeated, or not for this network.

    Examples:
        >>> parse_subsets(Modalities(("T1", "T2", "FLAIR")), ["t1+flair", "T2"])
        [(1,), (0, 2)]
    """
    if texts is None:
        return all_subsets(len(modalities)) if required is None else [required]
    subsets: list[Subset] = []
    for text in texts:
        subset = modalities.parse([text], "--subsets")
        if not subset or subset in subsets:
            raise SettingsError(f"--subsets: '{text}' is empty or the same subset as one before it. Name each once.")
        if required is not None and subset != required:
            raise SettingsError(
                f"--subsets: '{text}' is not for this network, which is for {modalities.label(required)} alone. "
                "Leave the flag out."
            )
        subsets.append(subset)
    return list(by_size(subsets))


def mask_of(subset: Iterable[int], number: int) -> np.ndarray:
    """Boolean mask of a subset, shape ``(number,)``.

    Examples:
        >>> mask_of((0, 2), 3)
        array([ True, False,  True])
    """
    mask = np.zeros(number, dtype=bool)
    mask[list(subset)] = True
    return mask


def _number(key: str) -> tuple[int, str]:
    return (int(key), key) if key.isascii() and key.isdigit() else (-1, key)


def _shown(channels: object) -> str:
    return json.dumps(channels, ensure_ascii=False, default=str)


def _normalisation(name: str) -> str:
    known = {scheme.casefold(): scheme for scheme in NORMALISATIONS}
    return known.get(name.casefold(), "zscore")
