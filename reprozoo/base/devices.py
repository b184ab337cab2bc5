"""Where networks run, as a person names it."""

from __future__ import annotations

import torch

from reprozoo.base.errors import UsageError


def resolve_device(device: str) -> str:
    """ "auto" is the first CUDA GPU, or else the CPU; anything else must be there.

    Raises:
        UsageError: no such device, or torch was built without it.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split()).split(". ")[0]
        raise UsageError(f"device {device!r} cannot be used ({reason}); `--device cpu` always works") from error
    return device
