"""``noise``: the noise itself, for programs that are not reprozoo."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from typing import Any

import click

from reprozoo.base.errors import UsageError
from reprozoo.cli.common import ParamType, json_option, print_json
from reprozoo.engine.display import size

FLOAT_BYTES = 4


class Shape(ParamType):
    """3x32x32, 3,32,32 or 128."""

    name = "shape"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"\d+([x×,]\d+)*", str(value).strip().lower()):
            self.fail(f"{value!r} is no shape; expected sizes such as 3x32x32", param, ctx)
        return tuple(int(part) for part in re.split("[x×,]", str(value).strip().lower()))


@click.group(short_help="Write noise to a file that other programs can read.")
def noise() -> None:
    """Write noise to a file that other programs can read."""


@noise.command(short_help="Write noise and its provenance.")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-n", "--num-samples", type=click.IntRange(min=1), default=1000, show_default=True, help="How many noises."
)
@click.option("--shape", type=Shape(), default="3x32x32", show_default=True, help="Shape of one noise.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noise.")
@click.option("--start", type=click.IntRange(min=0), default=0, show_default=True, help="Index of the first noise.")
@json_option
def export(*, path: Path, num_samples: int, shape: tuple[int, ...], seed: int, start: int, as_json: bool) -> None:
    """Write the noises START to START + N - 1 to FILE: .safetensors, with their provenance, or .npy.

    `--noise FILE` of the other commands reads it back; images that another program made from it are compared by
    `reprozoo compare ID samples:FOLDER`.
    """
    from reprozoo.maps.noise.bank import NoiseBank
    from reprozoo.maps.noise.files import export_noise

    source = NoiseBank(seed)
    _check_room(path, num_samples * math.prod(shape) * FLOAT_BYTES)
    sha256 = export_noise(source, range(start, start + num_samples), shape, path)
    facts = {"path": str(path), "num_samples": num_samples, "start": start, "shape": list(shape), "sha256": sha256}
    if as_json:
        print_json(facts | {"noise": source.spec()})
    else:
        click.echo(f"{path}  {num_samples:,} noises of {'×'.join(map(str, shape))}, seed {seed}, sha256 {sha256}")


def _check_room(path: Path, needed: int) -> None:
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {folder}")
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UsageError(f"{size(needed)} of noise do not fit: {size(free)} are free in {folder}; lower -n")
