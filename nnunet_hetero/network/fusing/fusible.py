"""Functions of many small operations that torch.compile makes one kernel of, where training compiles at all."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from inspect import signature
from typing import Any

import torch
from torch.utils._pytree import tree_map

_all: list[Fusible] = []


class Fusible:
    """A pure function of tensors, or one that writes into its arguments; as a decorator.

    On a GPU each operation of its own reads and writes whole maps, so that a sum of products takes many times as long
    as its arithmetic. As it is it runs everywhere, `compile_fusible` makes it one kernel.

    Args:
        function: Without dependence on the values of tensors. Its arguments are tensors, or lists of them. What it
            writes all of, and does not read, is its first argument, ``into``.

    Attributes:
        writes_first: Whether it has one.
    """

    def __init__(self, function: Callable):
        self.function = function
        self.run = function
        self.writes_first = next(iter(signature(function).parameters)) == "into"
        update_wrapper(self, function)
        _all.append(self)

    def __call__(self, *arguments: Any) -> Any:
        """Call the function, compiled or not; within an autograd function, whose gradient is written by hand."""
        # Detached, or it would be compiled anew for tensors that require a gradient.
        return self.run(*tree_map(_detached, arguments))


def _detached(argument: Any) -> Any:
    return argument.detach() if isinstance(argument, torch.Tensor) else argument


def multiply_into(target: torch.Tensor, one: torch.Tensor, other: torch.Tensor | float) -> torch.Tensor:
    """The product in the target's place and type: without a copy as written, without a break of the graph compiled."""
    if torch.compiler.is_compiling():
        return target.copy_(one * other)
    return torch.mul(one, other, out=target)


def compile_fusible(**kwargs: Any) -> None:
    """torch.compile all of them; shapes may vary."""
    for one in _all:
        one.run = torch.compile(one.function, **{"dynamic": True, **kwargs})


def restore_fusible() -> None:
    """Run all of them as they are written."""
    for one in _all:
        one.run = one.function
