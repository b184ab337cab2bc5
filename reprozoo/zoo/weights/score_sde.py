"""Checkpoints of score_sde_pytorch (and Multistage): the moving average is a list without names.

``torch.save({"optimizer", "model", "ema", "step"})``: ``model`` is the state dict of the network inside a
``DataParallel``; ``ema`` holds ``shadow_params``, one tensor for each parameter that requires a gradient, in the order
of ``named_parameters()``. Only the network itself knows that order, so a family passes it. Each average is compared in
shape with the weight of its name: a wrong order cannot pass unnoticed where it changes a shape.

Source of the format: yang-song/score_sde_pytorch@cb1f359f ``utils.py``, ``models/ema.py`` (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.zoo.weights.checkpoint import Checkpoint, check_tensors, outline, state_dict
from reprozoo.zoo.weights.torch_files import load_torch_file

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "module."  # of the names of a network inside DataParallel
AVERAGE = "ema."  # of the positions of the average, as they are kept after conversion
LAST = "model."  # of the last weights, likewise


def is_score_sde(found: Any) -> bool:
    """Whether the object of a torch file is such a checkpoint."""
    return (
        isinstance(found, dict)
        and isinstance(found.get("model"), dict)
        and isinstance(found.get("ema"), dict)
        and isinstance(found["ema"].get("shadow_params"), list)
    )


def read_score_sde(path: Path, part: str = "") -> Checkpoint:
    """The average by position ("ema.0000" …) and the last weights by name ("model.…"); ``named`` joins them.

    Raises:
        IntegrityError: the file is of another kind, or damaged.
    """
    found = load_torch_file(path)
    if part or not is_score_sde(found):
        raise IntegrityError(f"{path} is no score_sde checkpoint (model, ema, step); it holds {outline(found)}")
    averages = dict(enumerate(found["ema"]["shadow_params"]))
    check = state_dict(path, averages)
    tensors = {f"{AVERAGE}{int(position):04d}": tensor for position, tensor in check.items()}
    for name, tensor in state_dict(path, found["model"]).items():
        tensors[LAST + name.removeprefix(PREFIX)] = tensor
    check_tensors(path, tensors)
    numbers = {
        "step": found.get("step"),
        "decay": found["ema"].get("decay"),
        "updates": found["ema"].get("num_updates"),
    }
    return Checkpoint(tensors, facts={key: value for key, value in numbers.items() if isinstance(value, (int, float))})


def named(tensors: Mapping[str, Tensor], parameter_names: Sequence[str], what: str = "the file") -> dict[str, Tensor]:
    """A state dict: the average under the names of the parameters, the last weights for everything else (buffers).

    Args:
        tensors: as ``read_score_sde`` gives them.
        parameter_names: ``[name for name, p in network.named_parameters() if p.requires_grad]`` of the original.
        what: how the file is called in messages.

    Raises:
        IntegrityError: the number of parameters or the shape of one is another than the file's.
    """
    averages = [tensor for name, tensor in tensors.items() if name.startswith(AVERAGE)]
    result = {name.removeprefix(LAST): tensor for name, tensor in tensors.items() if name.startswith(LAST)}
    if not averages:
        raise UsageError(f"{what} holds no moving average by position")
    if len(averages) != len(parameter_names):
        raise IntegrityError(
            f"{what} averages {len(averages)} parameters where the card's network has {len(parameter_names)}: it is "
            "the checkpoint of another network"
        )
    for name, tensor in zip(parameter_names, averages, strict=True):
        last = result.get(name)
        if last is None or last.shape != tensor.shape:
            seen = "missing" if last is None else f"of shape {tuple(last.shape)}"
            raise IntegrityError(
                f"{what}: the average of {name} has shape {tuple(tensor.shape)}, and among the last weights it is "
                f"{seen}: it is the checkpoint of another network"
            )
        result[name] = tensor
    return result
