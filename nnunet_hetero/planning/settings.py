"""Settings as a user gives them on the command line or in a table, checked before they go into plans."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_hetero.config import COHORT, KEY, HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Modalities, Subset
from nnunet_hetero.subset_sampling import read_draw

PAPER = "paper"
COLUMNS = ("subset", "weight")


def draw_settings(alpha: str | None, presence: Sequence[str] | None, modalities: Modalities) -> dict[str, Any]:
    """The settings ``alpha`` and ``presence``; empty if nothing is asked for.

    Args:
        alpha: ``paper``, ``cohort``, or a CSV file with the columns ``subset`` and ``weight``.
        presence: Such as ``["T1=0.5", "FLAIR=1"]``, one for each modality.
        modalities: The dataset's.

    Raises:
        SettingsError: If both are given, or one is not what it must be.
    """
    if alpha is not None and presence is not None:
        raise SettingsError("--alpha and --presence are each a draw of its own; give one of them.")
    if presence is not None:
        pairs = [_split(pair, "--presence", "T1=0.5") for pair in presence]
        _refuse_repeated([name for name, _ in pairs], "--presence")
        return {"alpha": None, "presence": {name: _number(text, f"--presence {name}") for name, text in pairs}}
    if alpha is None:
        return {}
    if alpha in (PAPER, COHORT):
        return {"alpha": None if alpha == PAPER else COHORT, "presence": None}
    return {"alpha": read_alpha_table(Path(alpha), modalities), "presence": None}


def assigned_settings(assignments: Sequence[str]) -> dict[str, Any]:
    """Settings from ``KEY=VALUE``; a value is read as JSON, and as text if it is none.

    Raises:
        SettingsError: If one has no ``=``, or a key comes twice.
    """
    pairs = [_split(assignment, "--set", "num_epochs=250") for assignment in assignments]
    _refuse_repeated([key for key, _ in pairs], "--set")
    return {key: _json_or_text(value) for key, value in pairs}


def read_alpha_table(file: Path, modalities: Modalities) -> dict[str, float]:
    """Weight by subset from a CSV file with the columns ``subset`` (e.g. ``T1+FLAIR``) and ``weight``.

    Args:
        file: The table.
        modalities: The dataset's.

    Returns:
        The setting ``alpha``, subsets by the names of the dataset.

    Raises:
        SettingsError: If it is no such table; says in which row.
    """
    if not file.is_file():
        raise SettingsError(f"--alpha {file}: there is no such file. Give a CSV file, '{PAPER}' or '{COHORT}'.")
    table: dict[str, float] = {}
    rows: dict[str, int] = {}
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, skipinitialspace=True)
        try:
            header = [name.strip().lower() for name in next(reader, [])]
            if header != list(COLUMNS):
                raise SettingsError(f"the columns are {', '.join(header) or 'missing'}; expected {', '.join(COLUMNS)}.")
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(COLUMNS):
                    raise SettingsError(f"{len(cells)} cell(s), expected {len(COLUMNS)}: {', '.join(COLUMNS)}.")
                subset = modalities.parse([cells[0]], "the subset")
                if not subset:
                    raise SettingsError("the subset is empty; name at least one modality, e.g. T1+FLAIR.")
                name = modalities.label(subset)
                if name in table:
                    raise SettingsError(f"subset '{name}' stands already in row {rows[name]}.")
                weight = _number(cells[1], "the weight")
                if weight < 0:
                    raise SettingsError(f"the weight is {weight:g}; it must be 0 or more.")
                table[name], rows[name] = weight, reader.line_num
        except SettingsError as error:
            raise SettingsError(f"{file}, row {max(1, reader.line_num)}: {error}") from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}, row {max(1, reader.line_num)}: this is no CSV table ({error}).") from error
    if sum(table.values()) <= 0:
        raise SettingsError(f"{file}: no subset has a positive weight, so nothing could be drawn.")
    return table


def checked_settings(before: Mapping[str, Any], changes: Mapping[str, Any], modalities: Modalities) -> dict[str, Any]:
    """The settings of a configuration after the changes.

    Raises:
        SettingsError: If a setting is unknown, or a value impossible.
    """
    settings = {**before, **changes}
    read_draw(HeteroModalConfig.from_dict(settings), modalities)
    return settings


def draw_table(probabilities: Mapping[Subset, float], modalities: Modalities) -> str:
    """Probability of each subset and of each modality, as lines of text.

    Args:
        probabilities: By subset, summing to 1.
        modalities: The dataset's.
    """
    rows = [(modalities.label(subset), probability) for subset, probability in probabilities.items()]
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {100 * probability:5.1f} %" for name, probability in rows]
    single = []
    for channel, name in enumerate(modalities.names):
        share = sum(p for subset, p in probabilities.items() if channel in subset)
        single.append(f"{name} {100 * share:.1f} %")
    return "\n".join([*lines, f"  Each modality: {', '.join(single)}"])


def _split(pair: str, flag: str, example: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise SettingsError(f"{flag} {pair}: expected NAME=VALUE, e.g. {flag} {example}")
    return key.strip(), value.strip()


def _refuse_repeated(names: Sequence[str], flag: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"{flag} names '{name}' more than once.")


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SettingsError(f"{what} is '{text}'; it must be a number.")
    return value


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def settings_of(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a configuration of the plans has."""
    return dict(configuration.get(KEY) or {})
