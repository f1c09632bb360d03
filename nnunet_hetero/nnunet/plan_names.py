"""What the plans of a model may name: what nnU-Net, its networks and torch's layers offer, and nothing else.

nnU-Net imports whatever class the plans name, from whatever module, and calls it. So does nothing here: a name is held
against its place first, and only modules of these three packages are looked into.
"""

from __future__ import annotations

import inspect
import pydoc
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import dynamic_network_architectures
import nnunetv2
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class
from torch import nn

NETWORKS = f"{dynamic_network_architectures.__name__}.architectures"
BLOCKS = f"{dynamic_network_architectures.__name__}.building_blocks"
LAYERS = tuple(
    f"torch.nn.modules.{kind}"
    for kind in (
        *("activation", "adaptive", "batchnorm", "conv", "dropout", "instancenorm", "linear", "normalization"),
        *("padding", "pixelshuffle", "pooling", "upsampling"),
    )
)
"""Modules whose classes plans may name for a network, for its parts, and for their layers."""

PLACES = re.compile(r"(torch\.nn(\.modules\.\w+)?|dynamic_network_architectures(\.\w+)+)\.\w+")
"""How such a name looks. ``torch.nn.LeakyReLU`` is short for its module; nnU-Net writes both."""

Named = tuple[str, Any, Callable[[Any], bool], str]
"""Where plans name something, the name, what is right there, and what that is called."""


def named_by_plans(plans: Mapping[str, Any]) -> Iterator[Named]:
    """All names in ``plans.json`` that nnU-Net would look up, with what each must be.

    Args:
        plans: Content of the file. Configurations are taken as they stand, since whatever one inherits stands in
            another.
    """
    yield "image_reader_writer", plans.get("image_reader_writer"), is_reader, "reader of images of nnU-Net"
    yield "label_manager", plans.get("label_manager"), _is_label_manager, "label manager of nnU-Net"
    yield "experiment_planner_used", plans.get("experiment_planner_used"), _may_be_planner, "planner of nnU-Net"
    for name, configuration in plans.get("configurations", {}).items():
        for key, wanted, is_right, what in _named_by_configuration(configuration):
            yield f"{key} of the configuration {name}", wanted, is_right, what


def _named_by_configuration(configuration: Mapping[str, Any]) -> Iterator[Named]:
    architecture = configuration.get("architecture", {})
    yield "network_class_name", architecture.get("network_class_name"), is_network, f"network of {NETWORKS}"
    for key in architecture.get("_kw_requires_import", ()):
        yield key, architecture.get("arch_kwargs", {}).get(key), is_layer, "layer of a network"
    yield "preprocessor_name", configuration.get("preprocessor_name"), _is_preprocessor, "preprocessor of nnU-Net"
    for scheme in configuration.get("normalization_schemes", ()):
        yield "normalization_schemes", scheme, _is_normalisation, "normalisation of nnU-Net"
    for key in ("resampling_fn_data", "resampling_fn_seg", "resampling_fn_probabilities"):
        yield key, configuration.get(key), _is_resampling, "resampling of nnU-Net"


def is_network(name: Any) -> bool:
    """Whether a name is that of a network of ``dynamic_network_architectures``."""
    found = _located(name)
    if found is None and _looks_right(name) and name.startswith(dynamic_network_architectures.__name__):
        # As nnU-Net does for networks that have moved within that package.
        folder = Path(dynamic_network_architectures.__path__[0]) / "architectures"
        found = recursive_find_python_class(str(folder), name.rpartition(".")[2], NETWORKS)
    return _is_module(found, (NETWORKS,))


def is_layer(name: Any) -> bool:
    """Whether a name is that of a layer of torch, or of a block of ``dynamic_network_architectures``."""
    return _is_module(_located(name), (*LAYERS, BLOCKS, NETWORKS))


def is_reader(name: Any) -> bool:
    """Whether nnU-Net finds a reader of images under a name."""
    return _finds_class(name, "imageio", "imageio.base_reader_writer", "BaseReaderWriter")


def _is_label_manager(name: Any) -> bool:
    place = "utilities.label_handling"
    return _finds_class(name, place, f"{place}.label_handling", "LabelManager")


def _is_preprocessor(name: Any) -> bool:
    place = "preprocessing.preprocessors.default_preprocessor"
    return _finds_class(name, "preprocessing", place, "DefaultPreprocessor")


def _is_normalisation(name: Any) -> bool:
    place = "preprocessing.normalization"
    return _finds_class(name, place, f"{place}.default_normalization_schemes", "ImageNormalization")


def _may_be_planner(name: Any) -> bool:
    # Who only predicts needs no planner, and may not have the one that a model was planned with.
    place = "experiment_planning"
    base = f"{place}.experiment_planners.default_experiment_planner"
    return _is_plain(name) and (_found(name, place) is None or _finds_class(name, place, base, "ExperimentPlanner"))


def _is_resampling(name: Any) -> bool:
    place = "preprocessing.resampling"
    found = _found(name, place) if _is_plain(name) else None
    return inspect.isfunction(found) and found.__module__.startswith(f"nnunetv2.{place}.")


def _finds_class(name: Any, place: str, module: str, base: str) -> bool:
    found = _found(name, place) if _is_plain(name) else None
    wanted = getattr(import_module(f"nnunetv2.{module}"), base)
    return isinstance(found, type) and issubclass(found, wanted)


@cache
def _found(name: str, place: str) -> Any:
    """What nnU-Net finds under a name in one of its folders; it looks for anything of that name, not for classes."""
    folder = Path(nnunetv2.__path__[0]).joinpath(*place.split("."))
    return recursive_find_python_class(str(folder), name, f"nnunetv2.{place}")


def _is_plain(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier()


def _looks_right(name: Any) -> bool:
    return isinstance(name, str) and PLACES.fullmatch(name) is not None


def _located(name: Any) -> Any:
    """The object of a dotted name as nnU-Net would locate it, None for names that lead elsewhere."""
    return pydoc.locate(name) if _looks_right(name) else None


def _is_module(found: Any, places: tuple[str, ...]) -> bool:
    # By where the class is defined: a path such as torch.nn.modules.conv.os.X leads out of torch again.
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        return False
    return any(found.__module__ == place or found.__module__.startswith(f"{place}.") for place in places)
