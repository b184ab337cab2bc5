"""The training loop.

The batch, noise and times of step k are a pure function of (seed, k), drawn on the CPU. So a run that was stopped and
resumed has, on the same machine, the same bits as one that was not; no state of a random generator is stored.
"""

import csv
import json
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from reprozoo import IntegrityError, UsageError
from reprozoo.images import grid, save_png, to_uint8

from .checkpoint import averaged_state, export_weights, load_checkpoint, save_checkpoint
from .ema import ema_decay, update_ema
from .objectives import objective
from .recipe import NetworkSpec, Recipe

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"
SHEET_IMAGES = 64


def build_network(spec: NetworkSpec) -> nn.Module:
    """The network of a recipe, with fresh weights drawn from torch's global generator."""
    from reprozoo.networks.song_unet import SongUNet
    from reprozoo.networks.uvit import UViT

    classes: dict[str, Callable[..., nn.Module]] = {"song_unet": SongUNet, "uvit": UViT}
    if spec.name not in classes:
        raise UsageError(f"unknown network {spec.name!r}; known are {', '.join(classes)}")
    try:
        return classes[spec.name](**spec.options)
    except TypeError as error:
        raise UsageError(f"network {spec.name!r}: {error}") from error


def step_seed(seed: int, step: int) -> int:
    """A 63-bit seed for one step; neighbouring steps and seeds are unrelated."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def learning_rate(images_seen: int, recipe: Recipe) -> float:
    """Linear warm-up, constant, and at the end linear decay if the recipe asks for it."""
    spec = recipe.training
    rise = images_seen / spec.warmup_images if spec.warmup_images else 1.0
    fall = (spec.images - images_seen) / spec.decay_images if spec.decay_images else 1.0
    return spec.lr * max(0.0, min(1.0, rise, fall))


class Trainer:
    """One training run in one folder.

    Args:
        recipe: what to train.
        images_u8: (n, channels, height, width) uint8 training images.
        folder: receives `checkpoint.pt`, `loss.csv`, `recipe.json` and sheets of samples.
        resume: continue from the folder's checkpoint; without it a folder with a checkpoint is an error.
        report: called with one line of progress at a time.
    """

    def __init__(
        self,
        recipe: Recipe,
        images_u8: Tensor,
        folder: Path,
        *,
        device: str = "cpu",
        resume: bool = False,
        report: Callable[[str], None] = print,
    ) -> None:
        self.recipe, self.folder, self.device, self.report = recipe, folder, torch.device(device), report
        self.images_u8 = images_u8.to(self.device)
        self.objective = objective(recipe.objective.name, recipe.objective.options)
        torch.manual_seed(recipe.training.seed)
        self.network = build_network(recipe.network).to(self.device)
        if recipe.training.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.parameters = dict(self.network.named_parameters())
        self.average = {name: weight.detach().clone() for name, weight in self.parameters.items()}
        self.optimizer = torch.optim.Adam(
            self.parameters.values(), lr=recipe.training.lr, betas=recipe.training.adam_betas, fused=True
        )
        self.step, self.loss = 0, math.nan
        self.stop_requested = False
        self._start_folder(resume=resume)
        self.forward = torch.compile(self.network) if recipe.training.compile else self.network

    @property
    def images_seen(self) -> int:
        return self.step * self.recipe.training.batch_size

    def request_stop(self) -> None:
        """Ask `run` to write a checkpoint and return after the current step; safe in a signal handler."""
        self.stop_requested = True

    def run(self) -> None:
        """Train until the recipe's number of images, or until `request_stop`.

        Raises:
            IntegrityError: the loss is not finite; the last checkpoint, with finite loss, is kept.
        """
        output, batch = self.recipe.output, self.recipe.training.batch_size
        log_steps, sheet_steps = max(1, output.log_images // batch), max(1, output.sheet_images // batch)
        total, counted = torch.zeros((), device=self.device), 0
        last_log = last_checkpoint = time.monotonic()
        while self.images_seen < self.recipe.training.images and not self.stop_requested:
            total += self._train_step()
            counted += 1
            now = time.monotonic()
            due = now - last_checkpoint > 60 * output.checkpoint_minutes
            if self.step % log_steps == 0 or due:
                self._log(total / counted, counted * batch / max(now - last_log, 1e-9))
                total, counted, last_log = torch.zeros((), device=self.device), 0, now
            if due:
                self.save()
                last_checkpoint = now
            if self.step % sheet_steps == 0:
                self.save_sheet()
        if counted:
            self._log(total / counted, counted * batch / max(time.monotonic() - last_log, 1e-9))
        self.save()

    def save(self) -> None:
        """Write the checkpoint, and the averaged weights as a model card names them.

        Raises:
            IntegrityError: a weight is not finite, which the loss shows a step later; the last checkpoint is kept.
        """
        if not all(bool(weight.isfinite().all()) for weight in self.parameters.values()):
            raise self._diverged("a weight is not finite")
        state = {
            "recipe": self.recipe.to_json(),
            "step": self.step,
            "images_seen": self.images_seen,
            "loss": self.loss,
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        save_checkpoint(self.folder / CHECKPOINT, state)
        export_weights(self.folder / CHECKPOINT, self.folder / WEIGHTS)

    def save_sheet(self) -> Path:
        """Sample the averaged network from noise that is the same at every call and write a PNG."""
        shape = (SHEET_IMAGES, *self.images_u8.shape[1:])
        generator = torch.Generator().manual_seed(step_seed(self.recipe.training.seed, 2**40))
        noise = torch.randn(shape, generator=generator).to(self.device)
        path = self.folder / f"sheet-{self.images_seen:09d}.png"
        current = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(averaged_state(self.network, self.average))
        self.network.eval()
        try:
            with torch.no_grad():
                images = self.objective.sample(self.network, noise, steps=self.recipe.output.sheet_steps)
        finally:
            self.network.load_state_dict(current)
            self.network.train()
        save_png(grid(to_uint8(images.cpu().clamp(-1, 1)), columns=math.isqrt(SHEET_IMAGES)), path)
        return path

    def _start_folder(self, *, resume: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoint = self.folder / CHECKPOINT
        if resume and not checkpoint.exists():
            raise UsageError(f"{self.folder} holds no checkpoint; start the run without resuming")
        if resume:
            self._load(load_checkpoint(checkpoint))
        elif checkpoint.exists():
            raise UsageError(f"{self.folder} holds a run already; resume it or choose another folder")
        (self.folder / "recipe.json").write_text(self.recipe.to_json() + "\n", encoding="utf-8")

    def _load(self, state: dict[str, Any]) -> None:
        stored = Recipe.from_table(json.loads(state["recipe"]))
        if differing := self.recipe.differences(stored):
            raise UsageError(f"the checkpoint was trained with another {', '.join(differing)}; start a new run")
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["average"].items():
            self.average[name].copy_(value)
        self.step, self.loss = state["step"], state["loss"]

    def _draw(self) -> tuple[Tensor, Tensor, Tensor]:
        spec = self.recipe.training
        generator = torch.Generator().manual_seed(step_seed(spec.seed, self.step))
        indices = torch.randint(len(self.images_u8), (spec.batch_size,), generator=generator)
        t = self.objective.draw_times(spec.batch_size, generator)
        noise = torch.randn((spec.batch_size, *self.images_u8.shape[1:]), generator=generator)
        x0 = self.images_u8[indices.to(self.device)].float() / 127.5 - 1
        if spec.flip:
            mirrored = torch.rand(spec.batch_size, generator=generator) < 0.5
            x0 = torch.where(mirrored.to(self.device).reshape(-1, 1, 1, 1), x0.flip(3), x0)
        return x0, noise.to(self.device), t.to(self.device)

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
        spec = self.recipe.training
        x0, noise, t = self._draw()
        torch.manual_seed(step_seed(spec.seed, self.step))  # for dropout alone
        if spec.channels_last:
            x0, noise = (image.contiguous(memory_format=torch.channels_last) for image in (x0, noise))
        with self._numerics():
            loss = self.objective.loss(self.forward, x0, noise, t).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if spec.grad_clip:
            nn.utils.clip_grad_norm_(self.parameters.values(), spec.grad_clip)
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.images_seen, self.recipe)
        self.optimizer.step()
        decay = ema_decay(
            self.images_seen - spec.batch_size,
            spec.batch_size,
            halflife_images=spec.ema_halflife_images,
            rampup_ratio=spec.ema_rampup_ratio,
        )
        update_ema(list(self.average.values()), [w.detach() for w in self.parameters.values()], decay)
        return loss.detach()

    def _diverged(self, what: str) -> IntegrityError:
        kept = (self.folder / CHECKPOINT).exists()
        advice = f"{CHECKPOINT} is from before" if kept else "no checkpoint was written yet"
        return IntegrityError(f"{what} after {self.images_seen} images; {advice}; start again with a lower lr")

    def _log(self, loss: Tensor, images_per_s: float) -> None:
        mean = float(loss)
        if not math.isfinite(mean):
            raise self._diverged(f"the loss is {mean}")
        self.loss = mean
        log = self.folder / "loss.csv"
        fresh = not log.exists()
        with log.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["images_seen", "loss", "lr", "images_per_s"])
            lr = learning_rate(self.images_seen, self.recipe)
            writer.writerow([self.images_seen, f"{mean:.6f}", f"{lr:.3e}", f"{images_per_s:.1f}"])
        remaining = (self.recipe.training.images - self.images_seen) / images_per_s
        self.report(
            f"{self.recipe.id}: {self.images_seen:,} of {self.recipe.training.images:,} images, "
            f"loss {mean:.4f}, {images_per_s:.0f} images/s, {remaining / 60:.0f} min left"
        )
