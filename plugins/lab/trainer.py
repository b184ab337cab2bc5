"""The training loop: one for every objective.

The batch, and all random numbers of step k, are a pure function of (seed, k). So a run that was stopped and resumed
has, on the same device, the same bits as one that was not; no state of a random generator is stored.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from reprozoo import IntegrityError, UsageError
from reprozoo.base.files import write_whole

from . import recording
from .checkpoint import RUNNING, averaged_state, export_weights, load_checkpoint, save_checkpoint
from .data import TrainingData, flipped
from .ema import ema_decay, update_ema
from .networks import HIDDEN, Classes, build_network
from .objectives import Batch, Networks, Objective, objective
from .others import Others, begin_with
from .recipe import Recipe, TrainingSpec
from .workers import Workers

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"
SHEET_IMAGES = 64
SHEET_STEP = 2**40  # the noise of sheets is that of a step which no run reaches


def step_seed(seed: int, step: int) -> int:
    """A 63-bit seed for one step; neighbouring steps and seeds are unrelated."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def learning_rate(images_seen: int, spec: TrainingSpec, end_images: int) -> float:
    """Linear warm-up, constant, and before ``end_images`` linear decay if the recipe asks for it."""
    rise = images_seen / spec.warmup_images if spec.warmup_images else 1.0
    fall = (end_images - images_seen) / spec.decay_images if spec.decay_images else 1.0
    return spec.lr * max(0.0, min(1.0, rise, fall))


class Trainer:
    """One training run in one folder.

    Args:
        recipe: what to train.
        data: the images, and labels where the network has classes.
        folder: receives `checkpoint.pt`, `weights.safetensors`, losses, `recipe.json` and sheets of samples.
        others: the models that the recipe names.
        end_images: when the run ends, in place of the recipe's.
        resume: continue from the folder's checkpoint; without it a folder with a checkpoint is an error.
        report: called with one line of progress at a time.
        workers: the processes that share the run.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingData,
        folder: Path,
        *,
        others: Others | None = None,
        end_images: int | None = None,
        device: str = "cpu",
        resume: bool = False,
        report: Callable[[str], None] = print,
        workers: Workers | None = None,
    ) -> None:
        self.recipe, self.folder, self.report = recipe, folder, report
        self.end_images = end_images or recipe.training.images
        self.workers = workers or Workers()
        self.device = torch.device(self.workers.device or device)
        self.others = others or Others()
        self.held_out = data.held_out
        self.digests = {"data": data.digest, **self.others.digests}
        self.images_u8 = data.images_u8.to(self.device)
        self.labels = None if data.labels is None else data.labels.to(self.device)
        self.classes = Classes(recipe.network)
        self.classes.check(self.labels, dropout=recipe.training.label_dropout)
        self.objective: Objective = objective(recipe.objective.name, recipe.objective.options)
        self._build()
        self.step, self.loss, self.seconds = 0, math.nan, 0.0
        self.stop_requested = False
        self._start_folder(resume=resume)
        self.networks: Networks = {name: self._compiled(name) for name in self.modules}

    @property
    def images_seen(self) -> int:
        return self.step * self.recipe.training.batch_size

    @property
    def network(self) -> nn.Module:
        """The network that is trained and exported."""
        return self.modules["network"]

    @property
    def finished(self) -> bool:
        return self.images_seen >= self.end_images

    def request_stop(self) -> None:
        """Ask `run` to write a checkpoint and return after the current step; safe in a signal handler."""
        self.stop_requested = True

    def run(self) -> None:
        """Train until the number of images at which the run ends, or until `request_stop`.

        Raises:
            IntegrityError: the loss is not finite; the last checkpoint, with finite loss, is kept.
        """
        output, batch = self.recipe.output, self.recipe.training.batch_size
        log_steps, sheet_steps = max(1, output.log_images // batch), max(1, output.sheet_images // batch)
        total, counted = torch.zeros((), device=self.device), 0
        last_log = last_checkpoint = time.monotonic()
        while not self.finished and not self.workers.agree(self.stop_requested):
            total += self._train_step()
            counted += 1
            now = time.monotonic()
            due = self.workers.agree(now - last_checkpoint > 60 * output.checkpoint_minutes)
            if self.step % log_steps == 0 or due:
                self._log(total / counted, counted * batch, now - last_log)
                total, counted, last_log = torch.zeros((), device=self.device), 0, now
            if due:
                self.save()
                last_checkpoint = now
            if self.step % sheet_steps == 0:
                self.save_sheet()
        if counted:
            self._log(total / counted, counted * batch, time.monotonic() - last_log)
        self.save()

    def save(self) -> None:
        """Write the checkpoint, the loss curve, and the averaged weights as a model card names them.

        Raises:
            IntegrityError: a weight is not finite, which the loss shows a step later; the last checkpoint is kept.
        """
        for module in self.modules.values():
            if not all(bool(weight.isfinite().all()) for weight in module.parameters()):
                raise self._diverged("a weight is not finite")
        if self.workers.rank == 0:
            save_checkpoint(self.folder / CHECKPOINT, self._state())
            export_weights(self.folder / CHECKPOINT, self.folder / WEIGHTS)
            if (self.folder / recording.LOSSES).exists():
                recording.draw_curve(self.folder, f"{self.recipe.id}: loss")
        self.workers.wait()

    def save_sheet(self) -> None:
        """Sample the averaged network from noise that is the same at every call and write a PNG."""
        if self.workers.rank == 0:
            generator = torch.Generator().manual_seed(step_seed(self.recipe.training.seed, SHEET_STEP))
            shape = self.objective.noise_shape(tuple(self.images_u8.shape[1:]))
            noise = torch.randn((SHEET_IMAGES, *shape), generator=generator)
            recording.save_sheet(self.folder, self.images_seen, self.sample(noise))
        self.workers.wait()

    def sample(self, noise: Tensor) -> Tensor:
        """Images of the averaged network, classes in turn."""
        labels = self.classes.in_turn(self.labels, len(noise))
        batch = Batch(noise, (), self.classes.encode(labels))
        with self.averaged() as network, torch.no_grad():
            return self.objective.sample(
                batch.bound(network), noise.to(self.device), steps=self.recipe.output.sheet_steps
            )

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The network with its averaged weights, in evaluation mode, as long as the block lasts."""
        current = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(averaged_state(self.network, self.average))
        self.network.eval()
        try:
            yield self.network
        finally:
            self.network.load_state_dict(current)
            self.network.train()

    def _build(self) -> None:
        """Networks, averages and optimizers, drawn from the recipe's seed."""
        recipe, beside = self.recipe, self.objective.beside
        if self.objective.needs_teacher and self.others.teacher is None:
            raise UsageError(f"the objective {recipe.objective.name} needs a teacher; name one in [teacher]")
        torch.manual_seed(recipe.training.seed)
        network = self._placed(build_network(recipe.network))
        given = {} if self.others.teacher is None else {"teacher": self._placed(self.others.teacher)}
        if beside:
            if (spec := getattr(recipe, beside)) is None:
                raise UsageError(f"the objective {recipe.objective.name} needs a network beside it: add [{beside}]")
            given[beside] = self._placed(build_network(spec))
        if self.others.start is not None:
            begin_with(network, self.others.start)
        self.modules = {"network": network, **self.objective.companions(network, given)}
        trained = {name: [name] for name in ("network", *self.objective.rivals)}
        trained["network"] += self.objective.allies
        for name, module in self.modules.items():
            if not any(name in names for names in trained.values()):
                module.eval().requires_grad_(False)
        self.parameters = {name: self._trainable(names) for name, names in trained.items()}
        self.optimizers = {name: self._optimizer(name) for name in trained}
        state = network.state_dict()
        averaged = [name for name, _ in network.named_parameters()] + [n for n in state if n.endswith(RUNNING)]
        self._live = [state[name] for name in averaged]
        self.average = {name: state[name].clone() for name in averaged}

    def _placed(self, module: nn.Module) -> nn.Module:
        module = module.to(self.device)
        if self.recipe.training.channels_last:
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return module

    def _compiled(self, name: str) -> Any:
        compiled = self.recipe.training.compile and name not in self.objective.differentiated_twice
        return torch.compile(self.modules[name]) if compiled else self.modules[name]

    def _trainable(self, names: list[str]) -> list[nn.Parameter]:
        """Parameters of some of the modules; of the network, those that the recipe's patterns name."""
        patterns = self.recipe.training.trainable
        found: list[nn.Parameter] = []
        for module in names:
            for name, parameter in self.modules[module].named_parameters():
                chosen = module != "network" or not patterns or any(fnmatchcase(name, each) for each in patterns)
                parameter.requires_grad_(chosen)
                found += [parameter] if chosen else []
        if not found:
            raise UsageError(f"training.trainable names no parameter of the network: {', '.join(patterns)}")
        return found

    def _optimizer(self, name: str) -> torch.optim.Optimizer:
        spec = self.recipe.training
        return torch.optim.Adam(self.parameters[name], lr=spec.lr, betas=spec.adam_betas, fused=True)

    def _start_folder(self, *, resume: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoint = self.folder / CHECKPOINT
        if resume and not checkpoint.exists():
            raise UsageError(f"{self.folder} holds no checkpoint; start the run without resuming")
        if resume:
            self._load(load_checkpoint(checkpoint))
        elif checkpoint.exists():
            raise UsageError(f"{self.folder} holds a run already; resume it or choose another folder")
        self.workers.wait()
        if self.workers.rank == 0:
            recording.drop_rows_after(self.folder, self.images_seen)
            write_whole(self.folder / "recipe.json", f"{self.recipe.to_json()}\n".encode(), remedy=recording.REMEDY)

    def _state(self) -> dict[str, Any]:
        others = {name: module.state_dict() for name, module in self.modules.items() if name != "network"}
        return {
            "recipe": self.recipe.to_json(),
            "step": self.step,
            "images_seen": self.images_seen,
            "loss": self.loss,
            "seconds": self.seconds,
            "digests": self.digests,
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizers["network"].state_dict(),
            "companions": others,
            "rivals": {name: self.optimizers[name].state_dict() for name in self.objective.rivals},
        }

    def _load(self, state: dict[str, Any]) -> None:
        stored = Recipe.from_json(state["recipe"])
        if differing := self.recipe.differences(stored):
            raise UsageError(f"the checkpoint was trained with another {', '.join(differing)}; start a new run")
        for name, digest in state.get("digests", {}).items():
            if self.digests.get(name) != digest:
                raise IntegrityError(
                    f"the checkpoint was trained with another {name}: sha256 {digest}, now it is "
                    f"{self.digests.get(name, 'missing')}; start a new run"
                )
        self.network.load_state_dict(state["network"])
        self.optimizers["network"].load_state_dict(state["optimizer"])
        for name, companion in state.get("companions", {}).items():
            self.modules[name].load_state_dict(companion)
        for name, rival in state.get("rivals", {}).items():
            self.optimizers[name].load_state_dict(rival)
        for name, value in state["average"].items():
            self.average[name].copy_(value)
        self.step, self.loss, self.seconds = state["step"], state["loss"], state.get("seconds", math.nan)

    def _draw(self) -> Batch:
        """The batch of this step, or this process's rows of it."""
        spec, rows = self.recipe.training, self.workers.rows
        generator = torch.Generator(self.device).manual_seed(step_seed(spec.seed, self.step))
        indices = torch.randint(len(self.images_u8), (spec.batch_size,), generator=generator, device=generator.device)
        draws = self.objective.draws(spec.batch_size, tuple(self.images_u8.shape[1:]), generator)
        x0 = self.images_u8[indices].float() / 127.5 - 1
        x0 = flipped(generator, x0) if spec.flip else x0
        labels = None if self.labels is None else self.labels[indices]
        if labels is not None and spec.label_dropout:
            hidden = torch.rand(spec.batch_size, generator=generator, device=generator.device) < spec.label_dropout
            labels = labels.where(~hidden, HIDDEN)
        classes = self.classes.encode(labels)
        if spec.channels_last:
            x0, *draws = (_channels_last(tensor) for tensor in (x0, *draws))  # type: ignore[assignment]
        return Batch(
            rows(x0), tuple(map(rows, draws)), None if classes is None else rows(classes), self.step, self.images_seen
        )

    def _numerics(self) -> ExitStack:
        stack = ExitStack()
        if self.recipe.training.autocast != "off":
            stack.enter_context(torch.autocast(self.device.type, getattr(torch, self.recipe.training.autocast)))
        if self.device.type == "cpu":
            # On a CPU the backward pass of fused attention takes longer than the rest of a small transformer.
            torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        return stack

    def _train_step(self) -> Tensor:
        """One batch; the loss of the network."""
        spec, batch = self.recipe.training, self._draw()
        torch.manual_seed(step_seed(spec.seed, self.step))  # for dropout alone
        losses = self.objective.losses(self.networks, batch)
        loss = batch.x0
        lr = learning_rate(self.images_seen + spec.batch_size, spec, self.end_images)
        while True:
            with self._numerics():
                found = next(losses, None)
            if found is None:
                break
            name, loss = found
            self._descend(name, loss, lr * self.objective.learning_rate_ratio(name))
        before = self.images_seen
        self.step += 1
        decay = ema_decay(
            before,
            spec.batch_size,
            halflife_images=spec.ema_halflife_images,
            rampup_ratio=spec.ema_rampup_ratio,
        )
        update_ema(list(self.average.values()), self._live, decay)
        self.objective.after_step(self.network, self.modules, self.average, range(before, self.images_seen))
        return loss.detach()

    def _descend(self, name: str, loss: Tensor, lr: float) -> None:
        """A step of one network down its loss."""
        optimizer, parameters = self.optimizers[name], self.parameters[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.workers.average([parameter.grad for parameter in parameters if parameter.grad is not None])
        if self.recipe.training.grad_clip:
            nn.utils.clip_grad_norm_(parameters, self.recipe.training.grad_clip)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()

    def _diverged(self, what: str) -> IntegrityError:
        kept = (self.folder / CHECKPOINT).exists()
        advice = f"{CHECKPOINT} is from before" if kept else "no checkpoint was written yet"
        return IntegrityError(f"{what} after {self.images_seen} images; {advice}; start again with a lower lr")

    def _log(self, loss: Tensor, images: int, seconds: float) -> None:
        self.workers.average([loss])
        mean = float(loss)
        if not math.isfinite(mean):
            raise self._diverged(f"the loss is {mean}")
        self.loss = mean
        self.seconds += seconds
        if self.workers.rank:
            return
        per_s = images / max(seconds, 1e-9)
        lr = learning_rate(self.images_seen, self.recipe.training, self.end_images)
        recording.add_row(self.folder, self.images_seen, mean, lr, per_s)
        remaining = (self.end_images - self.images_seen) / per_s
        self.report(
            f"{self.recipe.id}: {self.images_seen:,} of {self.end_images:,} images, "
            f"loss {mean:.4f}, {per_s:.0f} images/s, {max(remaining, 0) / 60:.0f} min left"
        )


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
