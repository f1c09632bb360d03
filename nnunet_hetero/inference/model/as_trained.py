"""Whether a model folder's plans.json and dataset.json still say what the model was trained with.

Whoever edits them afterwards changes what the network is shown, and no weight tells. Each checkpoint holds plans and
dataset.json of its training, so they are compared: what changes the result is refused, the rest pointed out.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nnunet_hetero.cases.orientation import UNKNOWN
from nnunet_hetero.config import KEY, HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.model.checkpoint_content import CHECKPOINT, TrainedFold
from nnunet_hetero.io.checkpoints import load_checkpoint
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.json_files import DATASET_JSON, PLANS, checked_configuration

_BACK = "Put back the {} that the training wrote; every checkpoint of the model holds it too, under init_args."

MODEL_PLANS = dataclasses.replace(PLANS, what="the plans of a trained model", remedy=_BACK.format("plans.json"))
MODEL_DATASET_JSON = dataclasses.replace(DATASET_JSON, remedy=_BACK.format("dataset.json"), error=SettingsError)

PLANS_THAT_MATTER = ("image_reader_writer", "transpose_forward", "transpose_backward", "label_manager")
CONFIGURATION_THAT_MATTERS = (
    *("spacing", "patch_size", "normalization_schemes", "use_mask_for_norm", "preprocessor_name", "previous_stage"),
    *("resampling_fn_data", "resampling_fn_data_kwargs", "architecture"),
    *("resampling_fn_probabilities", "resampling_fn_probabilities_kwargs"),
)
SETTINGS_THAT_MATTER = (
    *("fusion", "encoder_width", "finest_width", "finest_convolutions", "finest_norm", "latent_width"),
    *("image_decoder_width", "finest_image_width", "image_decoders", "max_abs_log_variance"),
    *("histogram_standardisation", "subset"),
)
INTENSITIES = "foreground_intensity_properties_per_channel"
BY_INTENSITIES = "CTNormalization"  # nnU-Net's only scheme that takes them
DEFAULTS = {"label_manager": "LabelManager"}  # nnU-Net's

_SHOWN = 80  # characters of a value


class _Difference(NamedTuple):
    key: str
    now: Any
    trained: Any
    matters: bool

    def __str__(self) -> str:
        return f"{self.key} is {_shortened(self.now)}, in training it was {_shortened(self.trained)}"


def require_as_trained(
    folder: Path, plans: Mapping[str, Any], dataset_json: Mapping[str, Any], folds: Sequence[TrainedFold]
) -> None:
    """Refuse files of a model that are broken, or that do not say what its folds were trained with.

    Args:
        folder: The model's.
        plans: Content of its ``plans.json``.
        dataset_json: Content of its ``dataset.json``.
        folds: Those that are to predict together.

    Raises:
        SettingsError: If they differ in what changes the result, from each other or from the files.
    """
    MODEL_DATASET_JSON.check(dataset_json, folder / "dataset.json")
    MODEL_PLANS.check(plans, folder / "plans.json")
    _require_one_model(folds)
    warned = set()
    for fold in folds:
        for name, document, differences in (
            ("dataset.json", MODEL_DATASET_JSON, _of_datasets(dataset_json, fold)),
            ("plans.json", MODEL_PLANS, _of_plans(folder / "plans.json", plans, dataset_json, fold)),
        ):
            found = list(differences)
            wrong = "; ".join(str(difference) for difference in found if difference.matters)
            if wrong:
                raise SettingsError(
                    f"{folder / name} is not that of the training, by the checkpoint {fold.file}: {wrong}. With it the "
                    f"model would predict something else. {document.remedy}"
                )
            harmless = "; ".join(map(str, found))
            if harmless and (name, harmless) not in warned:
                warned.add((name, harmless))
                print(f"WARNING: {folder / name} is not that of the training; it does not matter here: {harmless}.")


def require_whole_model(
    folder: Path, checkpoints: Sequence[Path], trusted: bool = False, name: Path | None = None
) -> None:
    """Refuse a model folder of which a file is broken or is not that of the training, see `require_as_trained`.

    Args:
        folder: The model's.
        checkpoints: Those of it that count.
        trusted: Whether the user vouches for the checkpoints.
        name: What errors call the folder, if not by its path.

    Raises:
        SettingsError: If so.
    """
    name = folder if name is None else name
    plans = MODEL_PLANS.read(folder / "plans.json", name / "plans.json")
    dataset_json = MODEL_DATASET_JSON.read(folder / "dataset.json", name / "dataset.json")
    folds = []
    for file in checkpoints:
        content = load_checkpoint(file, trusted=trusted, mmap=True)
        folds.append(TrainedFold.of(content, name / file.relative_to(folder)))
    require_as_trained(name, plans, dataset_json, folds)


def _require_one_model(folds: Sequence[TrainedFold]) -> None:
    first = folds[0]
    for fold in folds[1:]:
        for what in ("trainer", "configuration", "mirroring_axes"):
            if getattr(fold, what) != getattr(first, what):
                raise _no_folds_of_one_model(first, fold, what)
    known = [fold for fold in folds if fold.orientation != UNKNOWN]
    for fold in known[1:]:
        if fold.orientation != known[0].orientation:
            raise _no_folds_of_one_model(known[0], fold, "orientation")


def _no_folds_of_one_model(one: TrainedFold, other: TrainedFold, what: str) -> SettingsError:
    return SettingsError(
        f"{one.file} and {other.file} are no folds of one model: their {what.replace('_', ' ')} is "
        f"{getattr(one, what)} and {getattr(other, what)}. Choose folds with -f, or a checkpoint with -chk."
    )


def _of_plans(
    file: Path, plans: Mapping[str, Any], dataset_json: Mapping[str, Any], fold: TrainedFold
) -> Iterator[_Difference]:
    about_trained = dataclasses.replace(PLANS, what=f"{CHECKPOINT.what}, with the plans", remedy=CHECKPOINT.remedy)
    about_trained.check(fold.plans, fold.file)
    channels = len(Modalities.from_dataset_json(dataset_json))
    now = checked_configuration(plans, fold.configuration, file, channels, MODEL_PLANS)
    trained = checked_configuration(fold.plans, fold.configuration, fold.file, None, about_trained)
    settings = _settings(now), _settings(trained)
    for one in (now, trained):
        one.pop(KEY, None)
    by_intensities = BY_INTENSITIES in trained["normalization_schemes"]
    yield from _differences(now, trained, lambda key: key in CONFIGURATION_THAT_MATTERS)
    yield from _differences(*settings, lambda key: key.removeprefix(f"{KEY}.") in SETTINGS_THAT_MATTER)
    yield from _differences(
        _without(plans, "configurations"),
        _without(fold.plans, "configurations"),
        lambda key: key in PLANS_THAT_MATTER or (key == INTENSITIES and by_intensities),
    )


def _settings(configuration: Mapping[str, Any]) -> dict[str, Any]:
    given = configuration.get(KEY) or {}
    return {f"{KEY}.{key}": value for key, value in (dataclasses.asdict(HeteroModalConfig()) | given).items()}


def _of_datasets(dataset_json: Mapping[str, Any], fold: TrainedFold) -> Iterator[_Difference]:
    about_trained = dataclasses.replace(MODEL_DATASET_JSON, remedy=CHECKPOINT.remedy)
    trained = about_trained.check(fold.dataset_json, fold.file)
    names, before = (Modalities.from_dataset_json(one).names for one in (dataset_json, trained))
    if names != before:
        # Records, flags and what the checkpoint knows of the training images go by these names.
        yield _Difference("channel_names", list(names), list(before), True)
    for key, values_of in (("labels", _label_values), ("regions_class_order", lambda one: one)):
        now, then = _plain(dataset_json.get(key)), _plain(trained.get(key))
        if list(now or ()) != list(then or ()) or now != then:
            yield _Difference(key, now, then, values_of(now) != values_of(then))
    known = ("channel_names", "modality", "labels", "regions_class_order", "dataset", "numTraining")
    yield from _differences(_without(dataset_json, *known), _without(trained, *known), lambda _: False)


def _label_values(labels: Mapping[str, Any]) -> list:
    """What the network's outputs stand for: regions in their order, or labels, which nnU-Net sorts."""
    values = [value if isinstance(value, list) else [value] for name, value in labels.items() if name != "ignore"]
    ordered = values if any(len(value) > 1 for value in values) else sorted(values)
    return [*ordered, labels.get("ignore")]


def _differences(
    now: Mapping[str, Any], trained: Mapping[str, Any], matters: Callable[[str], bool]
) -> Iterator[_Difference]:
    now, trained = _plain(now), _plain(trained)
    for key in dict.fromkeys((*trained, *now)):
        if now.get(key, DEFAULTS.get(key)) != trained.get(key, DEFAULTS.get(key)):
            yield _Difference(key, now.get(key), trained.get(key), matters(key))


def _without(content: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in keys}


def _plain(content: Any) -> Any:
    """As JSON would have kept it: lists for tuples, Python's numbers for numpy's, and null for what is no number."""
    text = json.dumps(content, default=lambda value: value.tolist() if hasattr(value, "tolist") else None)
    return json.loads(text, parse_constant=lambda _: None)


def _shortened(value: Any) -> str:
    text = "not there" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
