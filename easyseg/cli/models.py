"""`easyseg models`, `easyseg download`, `easyseg info`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from easyseg.cli import command
from easyseg.cli._startup import load_framework
from easyseg.cli.options import QUIET, SIZE, echo
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import PREFIX, KerasHubConfig, is_hub
from easyseg.results.label_set import LabelSet, load_label_set
from easyseg.utils.resources import pretrained_path
from easyseg.weights.bundle import MINI, bundle_folder, read_bundle, read_card
from easyseg.weights.cache import cached_weights
from easyseg.weights.files import entry_of, file_format_of
from easyseg.weights.manifest import WeightSet, weight_set, weight_sets

__all__ = ["download", "info", "models"]

ALSO = {  # choices that a network is described by if it has them
    "se": "squeeze-and-excitation",
    "spatial": "spatial attention",
    "cbam": "CBAM",
    "learned": "learned upsampling",
    "group": "group norm",
}


@command()
def models() -> None:
    """List the models, and which are in the cache."""
    rows = [("NAME", "CLASSES", "SIZE", "MIOU", "LICENCE", "CACHED")]
    rows.append(_embedded_row())
    rows += [_row(entry) for entry in weight_sets().values()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())


@command()
@click.argument("name")
@click.option(
    "--from",
    "file",
    type=click.Path(path_type=Path),
    help="Import this .tar.gz or .h5, downloaded by hand.",
)
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Folder for downloads.")
@QUIET
def download(name: str, file: Path | None, cache_dir: Path | None, quiet: bool) -> None:
    """Download the weights of NAME into the cache; an interrupted download is resumed."""
    if name == MINI:
        echo(f"{MINI} comes with easyseg; there is nothing to download.")
        return
    entry = weight_set(name)
    load_framework()
    from easyseg.weights.loader import import_file, load_model  # noqa: PLC0415  (loads Keras)

    if file is not None:
        echo(f"{name} imported: {import_file(name, file, cache_dir=cache_dir)}")
        return
    load_model(name, cache_dir=cache_dir, progress=not quiet)
    echo(f"{name} ready: {cached_weights(entry, cache_dir=cache_dir)}")


@command()
@click.argument("model")
@click.option("--architecture", metavar="NAME", help="Published weights that a file is like.")
@click.option(
    "--size",
    type=SIZE,
    metavar="N|HxW",
    help="Count for images of this size, not the model's own.",
)
def info(model: str, architecture: str | None, size: tuple[int, int] | None) -> None:
    """Tell all that is known about MODEL.

    MODEL is a name from `easyseg models`, the folder of a saved model or of a run, a weights file
    (.h5, .pb), or "hub:" and a preset of KerasHub's.
    """
    told = _told(model, architecture)
    for key, value in (
        *told.rows.items(),
        *_inspected(told.config, size or told.config.input_size),
    ):
        click.echo(f"{key:<9} {value}")
    if told.card:
        click.echo(f"\n{told.card}")


class _Told(NamedTuple):
    """What is known of a model without looking at its network.

    Attributes:
        config: Of its network.
        rows: By their headings.
        card: What it says of itself, in Markdown.
    """

    config: ModelConfig | KerasHubConfig
    rows: dict[str, str]
    card: str = ""


def _told(model: str, architecture: str | None) -> _Told:
    if is_hub(model):
        load_framework()
        from easyseg.models.kerashub.network import read_preset  # noqa: PLC0415  (loads Keras)

        _, config, label_set = read_preset(model.removeprefix(PREFIX))
        classes = {"classes": _classes(label_set)}
        return _Told(config, {"name": model, **classes, "network": _network(config)})
    if file_format_of(model):
        entry = entry_of(Path(model), architecture)
        return _Told(entry.model, {"file": model, "architecture": entry.name, **_kind(entry)})
    folder = bundle_folder(model)
    if folder is not None:
        bundle = read_bundle(folder)
        return _Told(bundle.config, {"network": _network(bundle.config)}, read_card(folder))
    entry = weight_set(model)
    return _Told(entry.model, _published(entry))


def _kind(entry: WeightSet) -> dict[str, str]:
    """Classes and network of a weight set."""
    label_set = load_label_set(entry.labels)
    return {"classes": _classes(label_set), "network": _network(entry.model)}


def _classes(label_set: LabelSet) -> str:
    return f"{len(label_set)} of {label_set.name}: {', '.join(label_set.names[:12])}, …"


def _published(entry: WeightSet) -> dict[str, str]:
    """What the table says of a weight set."""
    rows = {
        "name": entry.name,
        **_kind(entry),
        "mIoU": "; ".join(f"{s.value:.2f} on {s.split} ({s.conditions})" for s in entry.miou)
        or "none published",
        "from": entry.origin,
        "address": entry.url,
        "size": _size(entry),
        "hash": entry.known_hash or "none published; the first download is recorded and trusted",
        "license": entry.license,
        "cached": str(cached_weights(entry) or "no"),
    }
    return {**rows, "note": entry.note} if entry.note else rows


def _embedded_row() -> tuple[str, str, str, str, str, str]:
    bundle = read_bundle(pretrained_path(MINI))
    size = bundle.weights.stat().st_size / 1e6
    miou = re.search(r"mIoU (0\.\d+)", read_card(bundle.weights.parent))
    shown = f"{100 * float(miou[1]):.2f}" if miou else "-"
    return (
        MINI,
        str(bundle.config.num_classes),
        f"{size:.1f} MB",
        f"{shown} card",
        "MIT",
        "comes along",
    )


def _row(entry: WeightSet) -> tuple[str, str, str, str, str, str]:
    return (
        entry.name,
        str(entry.model.num_classes),
        f"{entry.size_mb:g} MB" if entry.size_mb else "?",
        f"{entry.miou[0].value:.2f} {entry.miou[0].split}" if entry.miou else "-",
        entry.license,
        "yes" if cached_weights(entry) else "",
    )


def _size(entry: WeightSet) -> str:
    if entry.bytes:
        return f"{entry.bytes:,} bytes"
    return f"about {entry.size_mb:g} MB" if entry.size_mb else "unknown"


def _inspected(
    config: ModelConfig | KerasHubConfig, size: tuple[int, int]
) -> Iterator[tuple[str, str]]:
    """What the network itself tells, built with fresh weights."""
    load_framework()
    from easyseg.models.build import build_model, logits_model  # noqa: PLC0415  (loads Keras)
    from easyseg.models.summary import count, memory  # noqa: PLC0415

    model = build_model(config)
    cost, need = count(model, size), memory(logits_model(model), size)
    rows, columns = size
    multiply_adds = f"{_large(cost.multiply_adds)} multiply-adds for {rows}x{columns}"
    yield "cost", f"{cost.parameters:,} parameters, {multiply_adds}"
    weights, features = (f"{part / 1e6:.1f} MB" for part in need)
    peak = f"{features} of features at their peak for {rows}x{columns}"
    yield "memory", f"{weights} of weights, {peak} (float32; a framework takes more)"


def _large(number: int) -> str:
    return f"{number / 1e9:.2f} billion" if number >= 1e8 else f"{number / 1e6:.2f} million"


def _sides(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _network(config: ModelConfig | KerasHubConfig) -> str:
    if isinstance(config, KerasHubConfig):
        return f"{PREFIX}{config.hub} of KerasHub's, input {_sides(config.input_size)}"
    width = f" x{config.depth_multiplier:g}" if config.depth_multiplier != 1 else ""
    context = {"aspp": "image pooling", "dpc": "dense prediction cell", "lraspp": "LR-ASPP"}
    head = f"ASPP rates {config.dilation_rates}" if config.dilation_rates else context[config.head]
    decoder = {"deeplabv3plus": "DeepLabV3+", "lraspp": "Sum of logits", "none": "DeepLabV3"}
    chosen = [getattr(config, name) for name in ("attention", "upsampling", "norm")]
    also = "".join(f", {ALSO[choice]}" for choice in chosen if choice in ALSO)
    return (
        f"{decoder[config.decoder]}, {config.backbone}{width}, {head}{also}, output stride "
        f"{config.output_stride}, input {_sides(config.input_size)}"
    )
