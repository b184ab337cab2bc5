"""Python objects as sides: maps and callables, which have no identity that could be proven.

Their images are kept for this process alone, and the result says so.
"""

from __future__ import annotations

import inspect
import itertools
import secrets
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.engine.store import Store
from reprozoo.maps.condition import CONDITION_KINDS, EMPTY, Condition
from reprozoo.maps.contract import NoiseToImageMap

_PROCESS = secrets.token_hex(8)
_COUNT = itertools.count()


class CallableMap(NoiseToImageMap):
    """A function of noise, or of noise and conditions, as a map; its contract is enforced like that of any other.

    Args:
        function: (batch, *noise_shape) float32[, conditions] -> (batch, channels, height, width) in [-1, 1].
        noise_shape: of one noise.
        image_shape: of one image; learned from one call where left out.
        condition: of that call.
    """

    accepts = frozenset(CONDITION_KINDS)

    def __init__(
        self,
        function: Callable[..., Any],
        noise_shape: tuple[int, ...],
        image_shape: tuple[int, int, int] | None = None,
        *,
        condition: Condition = EMPTY,
    ) -> None:
        self.function, self.noise_shape = function, tuple(noise_shape)
        self._takes_conditions = _takes_two(function)
        if not self._takes_conditions:
            self.accepts = frozenset()
        self.image_shape = image_shape or self._probed(condition)

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        made = self.function(noise, conditions) if self._takes_conditions else self.function(noise)
        return torch.as_tensor(made)

    def _probed(self, condition: Condition) -> tuple[int, int, int]:
        with torch.no_grad():
            shape = tuple(self.generate(torch.zeros(1, *self.noise_shape), [condition]).shape)
        if len(shape) != 4:
            raise UsageError(
                f"expected a function that makes (batch, channels, height, width) images of noise, got {shape} for "
                f"noise of shape {(1, *self.noise_shape)}"
            )
        return shape[1], shape[2], shape[3]


@dataclass(frozen=True)
class ObjectRecipe:
    """A map that is an object already: as ``MapRecipe``, for this process alone.

    Attributes:
        token: different for every object and every run.
    """

    display_id: str
    loaded: NoiseToImageMap
    token: str
    store: Store
    weights_digest: None = None

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self.loaded.noise_shape

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.loaded.image_shape

    @property
    def num_classes(self) -> int | None:
        return self.loaded.num_classes

    def identity(self) -> dict[str, Any]:
        return {"object": self.token}

    def facts(self) -> dict[str, Any]:
        inside = getattr(self.loaded, "function", self.loaded)
        kind = inside if hasattr(inside, "__qualname__") else type(inside)
        title = "a Python object; its images are not kept beyond the process"
        return {"spec": self.display_id, "card": {"title": title}, "object": f"{kind.__module__}.{kind.__qualname__}"}

    def load(self) -> NoiseToImageMap:
        return self.loaded


def object_recipe(
    label: str, given: Any, noise_shape: Sequence[int] | None, condition: Condition = EMPTY
) -> ObjectRecipe:
    """The recipe of an object.

    Args:
        noise_shape: of the other sides or of the noise; what a callable is called with.
        condition: that a callable will be given, or one like it.

    Raises:
        UsageError: it is neither a map nor callable, or its noise has an unknown shape.
    """
    if isinstance(given, NoiseToImageMap):
        loaded = given
    elif callable(given):
        if noise_shape is None:
            raise UsageError(
                f"{label} is a function, and nothing says the shape of its noise: compare it with a model, give noise "
                "as an array, or wrap it: reprozoo.CallableMap(function, noise_shape=(3, 32, 32))"
            )
        loaded = CallableMap(given, tuple(noise_shape), condition=condition)
    else:
        raise UsageError(
            f"{label}: expected a map spec, a NoiseToImageMap, a function of noise, or a folder or array of images; "
            f"got {type(given).__name__}"
        )
    return ObjectRecipe(label, loaded, f"{_PROCESS}-{next(_COUNT)}", process_store())


@cache
def process_store() -> Store:
    """A store that ends with this process."""
    folder = _folder()
    return Store(folder.name)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="reprozoo-")


def _takes_two(function: Callable[..., Any]) -> bool:
    """Whether a function, or the ``forward`` of a network, takes conditions beside noise."""
    try:
        parameters = inspect.signature(getattr(function, "forward", function)).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    named = len(positional) > 1 and positional[1].name == "conditions"
    return named or len(required) > 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters)
