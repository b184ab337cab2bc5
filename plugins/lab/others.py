"""The other models that a training needs: the one it begins with, and the one it distils."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from reprozoo import UsageError, resolve
from reprozoo.zoo.recipes import MapRecipe

from .recipe import Recipe


@dataclass(frozen=True)
class Others:
    """The other models of a run.

    Attributes:
        start: the state dict that it begins with.
        teacher: the network that is distilled.
        digests: of the weights of each, by "start", "teacher" and "maker" (of the images); a run is resumed with the
            same ones only.
        files: sha256 of the file that each has its weights from, where it is one file.
    """

    start: Mapping[str, Tensor] | None = None
    teacher: nn.Module | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def other_models(recipe: Recipe, *, offline: bool = False) -> Others:
    """Load the models that a recipe names, by map spec, on the CPU.

    Raises:
        UsageError: one is not made of one network.
        ReprozooError: as the zoo says.
    """
    named = {"start": recipe.start, "teacher": recipe.teacher}
    specs = {name: spec.model for name, spec in named.items() if spec is not None}
    specs |= {"maker": recipe.made_by} if recipe.made_by else {}
    maps = {name: resolve(spec, offline=offline) for name, spec in specs.items()}
    networks = {name: _network(found) for name, found in maps.items() if name in named}
    return Others(
        start=networks["start"].state_dict() if "start" in networks else None,
        teacher=networks.get("teacher"),
        digests={name: found.weights_digest for name, found in maps.items() if found.weights_digest},
        files={name: sha256 for name, found in maps.items() for sha256 in _only(found.digests)},
    )


def begin_with(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give ``network`` the weights of the model it starts from.

    Raises:
        UsageError: they are another network's.
    """
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
    if wanted != {name: tensor.shape for name, tensor in state.items()}:
        raise UsageError("the model that the recipe starts from has another network; give both the same arguments")
    network.load_state_dict(dict(state))


def _network(found: MapRecipe) -> nn.Module:
    network = getattr(found.load(), "network", None)
    if not isinstance(network, nn.Module) or found.weights_digest is None:
        raise UsageError(f"{found.spec} is not made of one network with weights; name another model")
    return network


def _only(digests: Mapping[str, str]) -> list[str]:
    return list(digests.values()) if len(digests) == 1 else []
