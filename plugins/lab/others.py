"""The other models that a training needs: the one it begins with, and the one it distils."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from reprozoo import UsageError, resolve

from .recipe import ModelSpec, Recipe


@dataclass(frozen=True)
class Others:
    """The other models of a run.

    Attributes:
        start: the state dict that it begins with.
        teacher: the network that is distilled.
        digests: sha256 of the weights of each, by "start" and "teacher".
    """

    start: Mapping[str, Tensor] | None = None
    teacher: nn.Module | None = None
    digests: Mapping[str, str] = field(default_factory=dict)


def other_models(recipe: Recipe, *, offline: bool = False) -> Others:
    """Load the models that a recipe names, by map spec, on the CPU.

    Raises:
        UsageError: one is not made of one network.
        ReprozooError: as the zoo says.
    """
    wanted = {"start": recipe.start, "teacher": recipe.teacher}
    loaded = {name: _network(spec, offline=offline) for name, spec in wanted.items() if spec is not None}
    networks = {name: network for name, (network, _) in loaded.items()}
    return Others(
        start=networks["start"].state_dict() if "start" in networks else None,
        teacher=networks.get("teacher"),
        digests={name: digest for name, (_, digest) in loaded.items()},
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


def _network(spec: ModelSpec, *, offline: bool) -> tuple[nn.Module, str]:
    recipe = resolve(spec.model, offline=offline)
    network = getattr(recipe.load(), "network", None)
    if not isinstance(network, nn.Module) or recipe.weights_digest is None:
        raise UsageError(f"{spec.model} is not made of one network with weights; name another model")
    return network, recipe.weights_digest
