"""One process, or several that share every batch: ``accelerate launch`` starts those, and accelerate connects them.

Each process draws the whole batch, computes the gradient of its own rows, and averages it with the others'; so weights,
averages and optimizers stay equal in all of them, and one process needs none of this. What a network computes over its
batch (batch norm, a VAE's variance of the pixels) is over each process's own rows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from reprozoo import UsageError


class Workers:
    """The processes of a run.

    Attributes:
        rank, count: number of this one, and how many there are.
        device: where this one runs; None where that is the user's choice.
    """

    def __init__(self) -> None:
        self.rank, self.count, self.device = 0, 1, None
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            self._connect()

    def rows(self, batch: Tensor) -> Tensor:
        """This process's rows of a batch."""
        return batch[self.rank :: self.count] if self.count > 1 else batch

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their mean over the processes, in one message."""
        if self.count > 1:
            flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
            means = self._accelerator.reduce(flat, reduction="mean").split([tensor.numel() for tensor in tensors])
            for tensor, mean in zip(tensors, means, strict=True):
                tensor.copy_(mean.reshape(tensor.shape))

    def agree(self, flag: bool) -> bool:
        """Whether ``flag`` is set in any process."""
        if self.count == 1:
            return flag
        raised = torch.tensor([float(flag)], device=self.device)
        return bool(self._accelerator.reduce(raised, reduction="sum") > 0)

    def wait(self) -> None:
        """Return when every process is here."""
        if self.count > 1:
            self._accelerator.wait_for_everyone()

    def _connect(self) -> None:
        try:
            from accelerate import Accelerator  # type: ignore[import-not-found, unused-ignore]
        except ImportError as error:
            raise UsageError("training in several processes needs accelerate; install reprozoo[train]") from error
        self._accelerator: Any = Accelerator()
        self.rank, self.count = self._accelerator.process_index, self._accelerator.num_processes
        self.device = self._accelerator.device
