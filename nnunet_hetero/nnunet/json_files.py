"""nnU-Net's JSON files: what dataset.json, plans and splits must hold, as far as anything of it is needed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from copy import deepcopy
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.documents import Document

Text = Annotated[str, Field(min_length=1)]
LabelValue = Annotated[int, Field(ge=0)]


class _ListedCase(TypedDict):
    """A case where dataset.json lists the files."""

    images: Annotated[list[Text | None], Field(min_length=1)]
    label: Text


class _Named(TypedDict):
    channel_names: NotRequired[dict[str, str]]
    modality: NotRequired[dict[str, str]]
    file_ending: Text
    dataset: NotRequired[dict[str, _ListedCase]]


class _DatasetJson(_Named):
    labels: dict[str, LabelValue | list[LabelValue]]
    regions_class_order: NotRequired[list[LabelValue] | None]


def _names_channels(content: Any) -> Any:
    if not content.get("channel_names") and not content.get("modality"):
        raise ValueError("'channel_names' is missing, which names each input channel")
    return content


def _labels_fit(content: Any) -> Any:
    """What nnU-Net's label manager asserts."""
    labels, order = content["labels"], content.get("regions_class_order")
    if labels.get("background") != 0:
        raise ValueError("'labels' has no 'background' with the value 0")
    regions = [values for name, values in labels.items() if name not in ("background", "ignore")]
    if not regions:
        raise ValueError("'labels' has nothing but the background")
    if any(values == [] for values in regions) or isinstance(labels.get("ignore"), list):
        raise ValueError("'labels' has a region without values, or an 'ignore' that is a list")
    nested = any(isinstance(values, list) and len(values) > 1 for values in regions)
    if nested and (order is None or len(order) != len(regions)):
        found = "missing" if order is None else f"of {len(order)} entries"
        raise ValueError(f"'regions_class_order' is {found}; 'labels' has {len(regions)} regions, each needs an entry")
    return content


CHANNELS_JSON = Document(
    Annotated[_Named, AfterValidator(_names_channels)],
    "nnU-Net's dataset.json, with at least 'channel_names' and 'file_ending'",
    "See nnU-Net's description of the dataset format, or convert the data set again.",
)
"""dataset.json where nothing but the images counts."""

DATASET_JSON = Document(
    Annotated[_DatasetJson, AfterValidator(_names_channels), AfterValidator(_labels_fit)],
    "nnU-Net's dataset.json, with 'channel_names', 'labels' and 'file_ending'",
    CHANNELS_JSON.remedy,
)


class _Configuration(TypedDict):
    inherits_from: NotRequired[Text]


class _Plans(TypedDict):
    dataset_name: Text
    plans_name: Text
    configurations: Annotated[dict[str, _Configuration], Field(min_length=1)]
    image_reader_writer: Text
    transpose_forward: list[int]
    transpose_backward: list[int]
    label_manager: NotRequired[Text]


PLANS = Document(
    _Plans,
    "plans of nnU-Net",
    "Name others with -p, plan again (nnUNetv2_plan_and_preprocess), or put the file back.",
    SettingsError,
)


class _Architecture(TypedDict):
    network_class_name: Text
    arch_kwargs: dict[str, Any]
    _kw_requires_import: list[str]


class _ResolvedConfiguration(TypedDict):
    """A configuration with what it inherits."""

    data_identifier: Text
    preprocessor_name: Text
    batch_size: Annotated[int, Field(ge=1)]
    patch_size: list[Annotated[int, Field(ge=1)]]
    spacing: list[float]
    normalization_schemes: list[Text]
    use_mask_for_norm: list[bool]
    resampling_fn_data: Text
    resampling_fn_data_kwargs: dict[str, Any]
    resampling_fn_seg: Text
    resampling_fn_seg_kwargs: dict[str, Any]
    resampling_fn_probabilities: Text
    resampling_fn_probabilities_kwargs: dict[str, Any]
    architecture: _Architecture
    hetero_modal: NotRequired[dict[str, Any] | None]


def _dimensions_fit(content: Any) -> Any:
    patch, spacing = content["patch_size"], content["spacing"]
    if len(patch) not in (2, 3) or len(spacing) != len(patch) or not all(edge > 0 for edge in spacing):
        raise ValueError(f"'patch_size' is {patch} and 'spacing' {spacing}; both need 2 or 3 numbers above 0")
    return content


def checked_configuration(
    plans: Mapping[str, Any],
    name: str,
    file: str | os.PathLike,
    channels: int | None = None,
    document: Document = PLANS,
) -> dict[str, Any]:
    """A copy of a configuration with what it inherits.

    Args:
        plans: Content of the plans.
        name: Of the configuration.
        file: Where the plans lie, for the error.
        channels: How many the data set has; each needs a normalisation scheme. None does not compare.
        document: What the plans must be, for the error.

    Raises:
        HeteroError: Of the document's class, if there is no such configuration, it inherits from one that is not there
            or from itself, or it lacks what training and prediction need.
    """
    # Late: converters read data sets by this module, and their processes must not load torch.
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    about = dataclasses.replace(
        document,
        schema=Annotated[_ResolvedConfiguration, AfterValidator(_dimensions_fit)],
        what=f"{document.what} with a whole configuration '{name}'",
    )
    own = plans["configurations"].get(name, {})
    if not {"architecture", "UNet_class_name", "inherits_from"} & own.keys() and own:
        raise about.refusal(file, "does not fit: 'architecture' is missing")
    try:
        # A copy, since nnU-Net resolves inheritance in place; and it makes a new architecture of an old one.
        resolved = PlansManager(deepcopy(dict(plans))).get_configuration(name).configuration
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = f"has no key {error}" if isinstance(error, KeyError) else str(error)
        raise about.refusal(file, f"cannot be used: {reason.rstrip('.')}") from error
    about.check(resolved, file)
    for key in ("normalization_schemes", "use_mask_for_norm"):
        if channels is not None and len(resolved[key]) != channels:
            found = f"{len(resolved[key])} entries in '{key}' of the configuration '{name}', and {channels} channels"
            raise about.refusal(file, f"does not fit its dataset.json: {found} are there")
    return resolved


class _Fold(TypedDict):
    train: list[str]
    val: list[str]


SPLITS = Document(
    list[_Fold],
    "nnU-Net's splits, a list with the lists 'train' and 'val' of each fold",
    "Put it back, or split again (nnunet_hetero splits --overwrite).",
)
