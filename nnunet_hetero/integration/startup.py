"""What runs at each start of an activated interpreter.

It must cost next to nothing and import nothing heavy: most interpreters that start here never load nnU-Net.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from nnunet_hetero.nnunet.environment import set_ext_trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

HOOKED_MODULE = "nnunetv2.inference.predict_from_raw_data"
ENTRY_POINTS = ("predict_entry_point", "predict_entry_point_modelfolder")
HOOKED = "hooked_by_nnunet_hetero"
"""Attribute of an entry point that is ours already."""


def start() -> None:
    """Point nnU-Net to our trainers, and arrange that its prediction commands know our flags once they are loaded."""
    set_ext_trainer()
    if not any(isinstance(finder, _PredictionFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PredictionFinder())


class _PredictionFinder:
    """A meta path finder that lets the others find nnU-Net's prediction module, and hooks it when it has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Spec of the one module that we hook, None for all others."""
        if fullname != HOOKED_MODULE:
            return None
        for finder in sys.meta_path:
            # Finders of before Python 3.4 have no find_spec.
            find_spec = None if finder is self else getattr(finder, "find_spec", None)
            spec = find_spec and find_spec(fullname, path, target)
            if spec is not None:
                _hook_after_execution(spec.loader)
                return spec
        return None


def _hook_after_execution(loader: Any) -> None:
    # The loader is this module's own and stays what it is, so runpy, inspect and pickle see nothing unusual.
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        hook_entry_points(module)

    loader.exec_module = exec_module


def hook_entry_points(module: ModuleType) -> None:
    """Replace the entry points of nnU-Net's prediction module by ours, which call them.

    A second call changes nothing.
    """
    for name in ENTRY_POINTS:
        original = getattr(module, name, None)
        if original is not None and not hasattr(original, HOOKED):
            setattr(module, name, _hooked(module, name, original))


def _hooked(module: ModuleType, name: str, original: Callable[[], Any]) -> Callable[[], Any]:
    from functools import wraps

    @wraps(original)
    def entry_point() -> Any:
        from nnunet_hetero.integration.predict_command import predict

        return predict(module, name, original)

    setattr(entry_point, HOOKED, True)
    return entry_point
