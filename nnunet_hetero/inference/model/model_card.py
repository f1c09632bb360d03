"""A page that travels with a model: what it was trained on, how good it is per subset, what it is meant for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from nnunet_hetero.config import KEY
from nnunet_hetero.inference.model.as_trained import MODEL_DATASET_JSON, MODEL_PLANS
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.json_files import checked_configuration
from nnunet_hetero.reliability.calibration_file import FILE_NAME, Calibration

CARD_NAME = "README.md"

TEMPLATE = """\
# {{ name }}

A model of nnunet_hetero, for nnU-Net v2.
It segments {{ regions }} from {{ inputs }}, and {{ completes }}.

| | |
|---|---|
| trainer | {{ trainer }} |
| plans, configuration | {{ plans }}, {{ configuration }} |
| folds | {{ folds }} |
| training cases of the data set | {{ cases }} |
| voxels that the network sees | {{ spacing }} mm |
| calibration | {{ calibration }} |
| versions | {{ versions }} |
| licence of the model | {{ licence }} |

## How good it is

{% for title, table in tables %}
### {{ title }}

{{ table }}
{% else %}
Not evaluated: no `nnunet_hetero evaluate` was run in the model's folder before the export.
{% endfor %}

## What it is meant for

Research. It is not a medical device, and its results need a reader who can judge them. It knows images like those that
it was trained on: the same sequences, the same preparation (registration, skull stripping), the same kind of patients.
Completed images are synthetic.

## How to use it

```bash
nnunet_hetero install-model FILE.zip
nnunet_hetero predict -m MODEL -i IN -o OUT -f {{ folds_flag }}
```
"""


def model_card(folder: Path, checkpoint: Mapping[str, Any], folds: Sequence[int | str], licence: str | None) -> str:
    """The page, in Markdown.

    Args:
        folder: ``TRAINER__PLANS__CONFIGURATION``, with ``dataset.json`` and ``plans.json``.
        checkpoint: Of one of the folds; what a network can do stands in its weights.
        folds: Those that are exported.
        licence: Name of the model's licence; None says that it is not stated.
    """
    dataset, plans = MODEL_DATASET_JSON.read(folder / "dataset.json"), MODEL_PLANS.read(folder / "plans.json")
    trainer, plans_name, configuration = folder.name.split("__")
    settings = checked_configuration(plans, configuration, folder / "plans.json", None, MODEL_PLANS)
    completes = any(name.startswith("image_decoder.") for name in checkpoint["network_weights"])
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE).render(
        name=f"{plans['dataset_name']}, {trainer}",
        regions=_listed([name for name in dataset["labels"] if name not in ("background", "ignore")]),
        inputs=_inputs(Modalities.from_dataset_json(dataset), settings.get(KEY) or {}, KEY in checkpoint),
        completes="completes the others as images" if completes else "completes no images",
        trainer=trainer,
        plans=plans_name,
        configuration=configuration,
        folds=", ".join(map(str, folds)),
        folds_flag=" ".join(map(str, folds)),
        cases=dataset.get("numTraining", "unknown"),
        spacing=" × ".join(f"{edge:g}" for edge in settings.get("spacing", [])) or "unknown",
        calibration=_calibration(folder / FILE_NAME),
        versions=", ".join(f"{name} {metadata.version(name)}" for name in ("nnunet-hetero", "nnunetv2", "torch")),
        licence=licence or "not stated; ask whoever gave you the model",
        tables=[
            (f"{file.parent.relative_to(folder)}", file.read_text(encoding="utf-8").strip())
            for file in evaluation_tables(folder, folds)
        ],
    )


def evaluation_tables(folder: Path, folds: Sequence[int | str]) -> list[Path]:
    """``table.md`` of the evaluations of these folds, one by one or together."""
    together = "evaluation_" + "_".join(map(str, folds))
    places: list[str] = []
    for fold in folds:
        places += [f"fold_{fold}/evaluation", f"fold_{fold}/evaluation_test"]
    places += [together, f"{together}_test"]
    return [folder / place / "table.md" for place in places if (folder / place / "table.md").is_file()]


def _inputs(modalities: Modalities, settings: Mapping[str, Any], takes_subsets: bool) -> str:
    if takes_subsets and settings.get("subset") is None:
        return f"any subset of {_listed(modalities.names)}"
    names = [modalities.names[channel] for channel in settings.get("subset") or range(len(modalities))]
    return f"{_listed(names)}, {'all of which' if len(names) > 1 else 'which'} it needs"


def _calibration(file: Path) -> str:
    if not file.is_file():
        return "none: no intervals of volumes, no predicted Dice, no checks of the input"
    calibration = Calibration.read(file)
    return f"on {calibration.patients} patients, intervals of {100 * calibration.level:g} %"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
