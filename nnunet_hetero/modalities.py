"""Modalities by name, subsets of them, and the draw of subsets in training (α_π of the paper)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nnunet_hetero.errors import SettingsError

Subset = tuple[int, ...]
"""A set of modalities as sorted channel numbers, e.g. ``(0, 3)``; ``()`` is the empty set."""


@dataclass(frozen=True)
class Modalities:
    """The modalities of a dataset, in channel order.

    Args:
        names: One name per channel, e.g. ``("T1", "T1c", "T2", "FLAIR")``.
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
        """Read the names from nnU-Net's ``dataset.json`` (``channel_names``, or ``modality`` of old datasets)."""
        channels = dataset_json.get("channel_names", dataset_json.get("modality"))
        if not channels:
            raise SettingsError("dataset.json has no 'channel_names'; it must name each input channel.")
        return cls(tuple(str(channels[key]) for key in sorted(channels, key=int)))

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
        found = [self.index(part) for name in names for part in self._split(str(name))]
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
    """The 2^M - 1 non-empty subsets of ``number`` modalities, by size, then by channel numbers."""
    return [subset for size in range(1, number + 1) for subset in combinations(range(number), size)]


def mask_of(subset: Iterable[int], number: int) -> np.ndarray:
    """Boolean mask of a subset, shape ``(number,)``."""
    mask = np.zeros(number, dtype=bool)
    mask[list(subset)] = True
    return mask


class SubsetSampler:
    """Draws the subset π of modalities that a training sample is encoded from.

    Without a table the draw is that of the paper (Dorent et al., 2019, section 4): the size uniform in 1..m, then a
    subset of that size uniformly, where m is the number of modalities that the case has. With a table α_π the subsets
    are drawn with the given probabilities, restricted to those within what the case has and normalised again.

    Args:
        modalities: The dataset's modalities.
        alpha: Probability (or weight) by subset, each subset written by names: ``{"T1+T1c": 0.2, ...}``. None is the
            draw of the paper.
        seed: Seed of this sampler's own random stream.

    Raises:
        SettingsError: If the table names an unknown modality or a subset twice, has a weight that is negative or not
            finite, or weights that sum to zero.
    """

    def __init__(self, modalities: Modalities, alpha: Mapping[str, float] | None = None, seed: int | None = None):
        self.modalities = modalities
        self._table = None if alpha is None else self._read_table(alpha)
        self._random = np.random.default_rng(seed)

    def _read_table(self, alpha: Mapping[str, float]) -> dict[Subset, float]:
        table: dict[Subset, float] = {}
        for text, weight in alpha.items():
            subset = self.modalities.parse([text], what=f"alpha['{text}']")
            if not subset or subset in table:
                raise SettingsError(f"alpha: subset '{text}' is empty or stands in the table twice.")
            number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
            if not number or not np.isfinite(weight) or weight < 0:
                raise SettingsError(f"alpha['{text}'] is {weight!r}; a weight must be a finite number, 0 or more.")
            table[subset] = float(weight)
        if sum(table.values()) <= 0:
            raise SettingsError("alpha: the weights sum to 0; at least one subset needs a positive weight.")
        return table

    def probabilities(self, present: Sequence[int] | None = None) -> dict[Subset, float]:
        """Probability of each subset for a case that has the modalities ``present`` (default: all)."""
        present = tuple(range(len(self.modalities))) if present is None else tuple(present)
        inside = [subset for subset in all_subsets(len(self.modalities)) if set(subset) <= set(present)]
        if not inside:
            return {}
        if self._table is not None:
            weights = np.array([self._table.get(subset, 0.0) for subset in inside])
            if weights.sum() > 0:
                return dict(zip(inside, (weights / weights.sum()).tolist(), strict=True))
            # The table forbids every subset of this case. Its only honest use is with all that it has.
            return {subset: float(subset == tuple(present)) for subset in inside}
        per_size = {size: sum(len(subset) == size for subset in inside) for size in range(1, len(present) + 1)}
        return {subset: 1.0 / (len(present) * per_size[len(subset)]) for subset in inside}

    def draw(self, present: np.ndarray) -> np.ndarray:
        """Draw one subset for every sample of a batch.

        Args:
            present: What each sample has, ``(B, M)`` bool.

        Returns:
            What each sample is encoded from, ``(B, M)`` bool, a subset of ``present``; the empty set only where the
            sample has nothing.
        """
        drawn = np.zeros_like(present, dtype=bool)
        for row, has in enumerate(present):
            options = self.probabilities(np.flatnonzero(has).tolist())
            if options:
                choice = self._random.choice(len(options), p=list(options.values()))
                drawn[row] = mask_of(list(options)[choice], len(has))
        return drawn

    def state_dict(self) -> dict:
        """State of the random stream; `load_state_dict` continues it exactly."""
        return self._random.bit_generator.state

    def load_state_dict(self, state: dict) -> None:
        """Continue the random stream of an earlier sampler."""
        self._random.bit_generator.state = state
