"""The draw of training: through which of its modalities a sample is seen (α_π of the paper)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nnunet_hetero.config import KEY, HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Modalities, Subset, all_subsets, mask_of


class Draw(Protocol):
    """How likely each subset is for a case, up to a factor."""

    def weights(self, subsets: Sequence[Subset], present: Subset) -> np.ndarray:
        """Weight of each subset, 0 or more.

        Args:
            subsets: All non-empty subsets of ``present``.
            present: What the case has.
        """


class PaperDraw:
    """The size uniform in 1..m, then a subset of that size uniformly (Dorent et al., 2019, section 4)."""

    def weights(self, subsets: Sequence[Subset], present: Subset) -> np.ndarray:
        """See `Draw`."""
        sizes = [len(subset) for subset in subsets]
        of_size = Counter(sizes)
        return np.array([1.0 / of_size[size] for size in sizes])


@dataclass(frozen=True)
class TableDraw:
    """Subsets with given weights; those that are not in the table are never drawn.

    Args:
        table: Weight by subset.
    """

    table: Mapping[Subset, float]

    def weights(self, subsets: Sequence[Subset], present: Subset) -> np.ndarray:
        """See `Draw`."""
        return np.array([float(self.table.get(subset, 0)) for subset in subsets])


@dataclass(frozen=True)
class PresenceDraw:
    """Each modality there or not, independently of the others; the empty draw is drawn again.

    Args:
        probabilities: Probability of each modality of the dataset, in channel order.
    """

    probabilities: tuple[float, ...]

    def weights(self, subsets: Sequence[Subset], present: Subset) -> np.ndarray:
        """See `Draw`."""
        drawn = np.array([mask_of(subset, len(self.probabilities)) for subset in subsets])
        probabilities = np.array(self.probabilities)
        factors = np.where(drawn, probabilities, 1 - probabilities)
        return factors[:, list(present)].prod(axis=1)


class BalancedDraw:
    """First a subset, as another draw has it for a complete case, then one of the cases that have all of it.

    Under one draw for all cases, a cohort with gaps practises small subsets, and the full set hardly ever: a case with
    gaps is only seen through what it has. Here each subset is practised as often as on complete cases, and on all cases
    that can show it. Where fewer than `LEAST` of the cases can, it is practised as if these were `LEAST`, so that a few
    cases are not learned by heart. Of a cohort without gaps nothing changes.

    Args:
        draw: The other draw.
        cohort: How many training cases have exactly each subset.
        num_modalities: M, how many there are in the dataset.
    """

    LEAST = 0.25

    def __init__(self, draw: Draw, cohort: Mapping[Subset, int], num_modalities: int):
        self.draw = draw
        subsets = all_subsets(num_modalities)
        wanted = draw.weights(subsets, tuple(range(num_modalities)))
        cases = sum(cohort.values())
        self._weights = {}
        for subset, weight in zip(subsets, wanted.tolist(), strict=True):
            having = sum(number for has, number in cohort.items() if set(subset) <= set(has))
            self._weights[subset] = weight / max(having, self.LEAST * cases)

    def weights(self, subsets: Sequence[Subset], present: Subset) -> np.ndarray:
        """See `Draw`; for a case of which a complete one would show no subset, those of the other draw."""
        weights = np.array([self._weights[subset] for subset in subsets])
        return weights if weights.any() else self.draw.weights(subsets, present)

    def _share_of(self, case: Subset) -> float:
        """Weight of all subsets of what a case has."""
        return sum(weight for subset, weight in self._weights.items() if set(subset) <= set(case))

    def case_probabilities(self, cases: Sequence[Subset]) -> np.ndarray:
        """How often each case is sampled; one of which a complete one would show no subset as often as without balance.

        Args:
            cases: What each has.
        """
        shares = np.array([self._share_of(case) for case in cases])
        used = shares > 0
        uniform = np.full(len(cases), 1 / len(cases))
        return np.where(used, used.mean() * shares / shares.sum(), uniform) if used.any() else uniform


class SubsetSampler:
    """Draws the subset π of modalities that a training sample is encoded from, within what its case has.

    Args:
        modalities: The dataset's modalities.
        draw: How likely each subset is; default that of the paper.
        seed: Seed of this sampler's own random stream.
    """

    def __init__(self, modalities: Modalities, draw: Draw | None = None, seed: int | None = None):
        self.modalities = modalities
        self.distribution = draw or PaperDraw()
        self._random = np.random.default_rng(seed)

    @property
    def distribution(self) -> Draw:
        """How likely each subset is for a case, up to a factor."""
        return self._distribution

    @distribution.setter
    def distribution(self, draw: Draw) -> None:
        self._distribution = draw
        # With ten modalities a case has 1023 subsets, which are not to be weighed in every step.
        self._options: dict[Subset, tuple[list[Subset], list[float]]] = {}

    def probabilities(self, present: Sequence[int] | None = None) -> dict[Subset, float]:
        """Probability of each subset for a case that has the modalities ``present`` (default: all)."""
        present = tuple(range(len(self.modalities))) if present is None else tuple(present)
        inside = [subset for subset in all_subsets(len(self.modalities)) if set(subset) <= set(present)]
        if not inside:
            return {}
        weights = self.distribution.weights(inside, present)
        if weights.sum() > 0:
            return dict(zip(inside, (weights / weights.sum()).tolist(), strict=True))
        # The draw allows no subset of this case. Its only honest use is with all that it has.
        return {subset: float(subset == present) for subset in inside}

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
            subsets, probabilities = self._options_of(tuple(np.flatnonzero(has).tolist()))
            if subsets:
                choice = self._random.choice(len(subsets), p=probabilities)
                drawn[row] = mask_of(subsets[choice], len(has))
        return drawn

    def draw_singles(self, drawn: np.ndarray, rows: Sequence[int], share: float) -> np.ndarray:
        """Draw one modality of some samples, each of what the sample is encoded from with the same probability.

        Args:
            drawn: What each sample is encoded from, ``(B, M)`` bool.
            rows: The samples that it may be.
            share: How many of them, as a share, rounded up: those with most modalities, by chance where they have as
                many.

        Returns:
            ``(B, M)`` bool, one modality of each chosen sample; none only where the sample has none.
        """
        singles, sizes = np.zeros_like(drawn, dtype=bool), drawn.sum(axis=1)
        by_size = sorted(self._random.permutation(rows).tolist(), key=lambda row: -sizes[row])
        # A share of a whole number may be a little above the whole number that is meant.
        for row in by_size[: math.ceil(share * len(rows) - 1e-6)]:
            if sizes[row]:
                singles[row, self._random.choice(np.flatnonzero(drawn[row]))] = True
        return singles

    def _options_of(self, present: Subset) -> tuple[list[Subset], list[float]]:
        if present not in self._options:
            found = self.probabilities(present)
            self._options[present] = list(found), list(found.values())
        return self._options[present]

    def state_dict(self) -> dict:
        """State of the random stream; `load_state_dict` continues it exactly."""
        return dict(self._random.bit_generator.state)

    def load_state_dict(self, state: dict) -> None:
        """Continue the random stream of an earlier sampler."""
        self._random.bit_generator.state = state


def read_draw(config: HeteroModalConfig, modalities: Modalities, cohort: Mapping[Subset, int] | None = None) -> Draw:
    """The draw that the settings ``alpha`` and ``presence`` ask for.

    Args:
        config: The settings.
        modalities: The dataset's modalities.
        cohort: How many training cases have exactly each subset. Only ``alpha: "cohort"`` needs it; as long as it is
            not known, that draws all that a case has.

    Raises:
        SettingsError: If a setting names an unknown modality, leaves one out or names one twice, or has an impossible
            number.
    """
    if config.presence is not None:
        return PresenceDraw(_read_presence(config.presence, modalities))
    if config.alpha is None:
        return PaperDraw()
    if isinstance(config.alpha, str):  # "cohort", no other text is allowed
        return TableDraw(dict(cohort or {}))
    return TableDraw(read_weights(config.alpha, modalities))


def read_weights(alpha: Mapping[str, Any], modalities: Modalities) -> dict[Subset, float]:
    """Weights by subset from weights by name, e.g. ``{"T1+FLAIR": 2, "T1c": 1}``.

    Raises:
        SettingsError: If the table names an unknown modality or a subset twice, has a weight that is negative or not
            finite, or weights that sum to zero.
    """
    table: dict[Subset, float] = {}
    for text, weight in alpha.items():
        subset = modalities.parse([text], what=f"alpha['{text}']")
        if not subset or subset in table:
            raise SettingsError(f"alpha: subset '{text}' is empty or stands in the table twice.")
        if not _is_number(weight) or weight < 0:
            raise SettingsError(f"alpha['{text}'] is {weight!r}; a weight must be a finite number, 0 or more.")
        table[subset] = float(weight)
    if sum(table.values()) <= 0:
        raise SettingsError("alpha: the weights sum to 0; at least one subset needs a positive weight.")
    return table


def _read_presence(presence: Mapping[str, Any], modalities: Modalities) -> tuple[float, ...]:
    found: dict[int, float] = {}
    for name, probability in presence.items():
        channel = modalities.index(name)
        if channel in found:
            raise SettingsError(f"{KEY}.presence names the modality '{modalities.names[channel]}' twice.")
        if not _is_number(probability) or not 0 <= probability <= 1:
            raise SettingsError(f"{KEY}.presence['{name}'] is {probability!r}; it must be a number from 0 to 1.")
        found[channel] = float(probability)
    left_out = [name for channel, name in enumerate(modalities.names) if channel not in found]
    if left_out:
        raise SettingsError(
            f"{KEY}.presence has no probability for {', '.join(left_out)}; it must have one for each modality "
            f"({', '.join(modalities.names)})."
        )
    if not any(found.values()):
        raise SettingsError(f"{KEY}.presence: all probabilities are 0; at least one modality must be possible.")
    return tuple(found[channel] for channel in range(len(modalities)))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))
