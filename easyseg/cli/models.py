"""`easyseg models`, `easyseg download`, `easyseg info`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from easyseg.cli import command
from easyseg.cli.options import (
    A_PATH,
    ARCHITECTURE,
    CACHE_DIR,
    CLASS_NAMES,
    INPUT_SIZE,
    QUIET,
    SIZE,
    echo,
)
from easyseg.errors import InputError
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import PREFIX, KerasHubConfig, is_hub
from easyseg.results.label_set import LabelSet
from easyseg.utils.resources import pretrained_path
from easyseg.weights.bundle import EMBEDDED, read_bundle, read_card
from easyseg.weights.cache import cached_weights, check_file, read_source
from easyseg.weights.foreign import ForeignOptions
from easyseg.weights.manifest import WeightSet, weight_set, weight_sets
from easyseg.weights.network_file import ExportedConfig
from easyseg.weights.provenance import card_mean_iou
from easyseg.weights.resolve import resolve

SHOWN = 8  # class names in `info` without --classes


@command()
def models() -> None:
    """List the models, and which are in the cache."""
    table = [
        ("NAME", "CLASSES", "SIZE", "MIOU", "LICENSE", "CACHED"),
        *map(_embedded_line, EMBEDDED),
        *map(_line, weight_sets().values()),
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        echo("  ".join(cells).rstrip())


@command()
@click.argument("name")
@click.argument("file", required=False, type=A_PATH)
@CACHE_DIR
@QUIET
def download(name: str, file: Path | None, cache_dir: Path | None, quiet: bool) -> None:
    """Download the weights of NAME into the cache; an interrupted download is resumed.

    With FILE, a .tar.gz or .h5 that was downloaded by other means, it is imported instead.
    """
    if name in EMBEDDED:
        if file is not None:
            raise InputError(
                f"{name} is included in easyseg, and {file} cannot replace it; leave FILE out."
            )
        echo(f"{name} is included in easyseg; there is nothing to download.")
        return
    entry = weight_set(name)
    if file is not None:
        check_file(entry, file.expanduser())
    from easyseg.weights.loader import import_file, load_model  # noqa: PLC0415  (loads Keras)

    if file is not None:
        echo(f"{name} imported: {import_file(name, file, cache_dir=cache_dir)}")
        return
    load_model(name, cache_dir=cache_dir, progress=not quiet)
    echo(f"{name} ready: {cached_weights(entry, cache_dir=cache_dir)}")


@command()
@click.argument("model")
@ARCHITECTURE
@click.option(
    "--size",
    type=SIZE,
    metavar="N|HxW",
    help="Image size for cost and memory.  [default: the model's input size]",
)
@CLASS_NAMES
@INPUT_SIZE
@click.option("--classes", is_flag=True, help="List all classes with their ids and colors.")
def info(
    model: str,
    architecture: str | None,
    size: tuple[int, int] | None,
    class_names: list[str] | None,
    input_size: tuple[int, int] | None,
    classes: bool,
) -> None:
    """Describe MODEL: its network, classes, cost, origin and license.

    MODEL is a name from `easyseg models`, the folder of a saved model or of a run, a weights file
    (.h5, .pb), an .onnx file, or "hub:" and a KerasHub preset.
    """
    foreign = ForeignOptions(class_names=class_names, input_size=input_size)
    described = _describe(model, architecture, foreign)
    names = described.label_set.names
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    fields = {
        "model": model,
        **_network(described.config),
        "classes": f"{len(names)} of {described.label_set.name}: {shown}",
        **_cost(described.config, size or described.config.input_size),
        **described.fields,
    }
    for key, value in fields.items():
        echo(f"{key:<14} {value}")
    if classes:
        colors = ["#{:02x}{:02x}{:02x}".format(*color) for color in described.label_set.palette]
        rows = zip(colors, names, strict=True)
        echo("\n" + "\n".join(f"{i:>4} {color} {name}" for i, (color, name) in enumerate(rows)))


class _Description(NamedTuple):
    """A model without its network.

    Attributes:
        config: Of its network.
        label_set: Its classes.
        fields: Its origin, in words, by heading.
    """

    config: ModelConfig | KerasHubConfig | ExportedConfig
    label_set: LabelSet
    fields: dict[str, str]


def _describe(model: str, architecture: str | None, foreign: ForeignOptions) -> _Description:
    if is_hub(model):
        from easyseg.weights.loader import load_model  # noqa: PLC0415  (loads Keras)

        _, config, label_set, _ = load_model(model, architecture=architecture)
        return _Description(config, label_set, {})
    source = resolve(model, architecture=architecture, foreign=foreign)
    if source.file_format == "bundle":
        assert source.weights is not None  # noqa: S101  (for mypy)
        fields = _bundle_fields(source.weights.parent)
    elif isinstance(source.config, ExportedConfig):
        fields = {"file": f"a network as {source.file_format}"}
    elif source.entry is not None and source.entry.name == model:
        fields = _published_fields(source.entry)
    else:
        fields = {"architecture": source.entry.name if source.entry else ""}
    return _Description(source.config, source.label_set, fields)


def _bundle_fields(folder: Path) -> dict[str, str]:
    miou, card = _card_miou(folder), folder / "card.md"
    fields = {"mIoU": f"{miou:.2f} % (see the card)"} if miou else {}
    return {**fields, "card": str(card)} if card.is_file() else fields


def _card_miou(folder: Path) -> float | None:
    """The mean IoU that a model card reports, in percent."""
    return card_mean_iou(read_card(folder))


def _published_fields(entry: WeightSet) -> dict[str, str]:
    weights = cached_weights(entry)
    fields = {
        "mIoU": "; ".join(f"{s.value:.2f} % on {s.split} ({s.conditions})" for s in entry.miou)
        or "not published",
        "origin": entry.origin,
        "URL": entry.url,
        "file size": _file_size(entry),
        "hash": entry.known_hash or "not published",
        "license": entry.license,
        "cached": str(weights or "no"),
    }
    if weights is not None:
        fields["sha256"] = f"{read_source(weights)['sha256']} (of the file in the cache)"
    return {**fields, "note": entry.note} if entry.note else fields


def _file_size(entry: WeightSet) -> str:
    if entry.bytes:
        return f"{entry.bytes:,} bytes"
    return f"about {entry.size_mb:g} MB" if entry.size_mb else "not published"


def _embedded_line(name: str) -> tuple[str, ...]:
    bundle = read_bundle(pretrained_path(name))
    size, miou = bundle.weights.stat().st_size / 1e6, _card_miou(bundle.weights.parent)
    shown = f"{miou:.2f} card" if miou else "-"
    return name, str(bundle.config.num_classes), f"{size:.1f} MB", shown, "MIT", "included"


def _line(entry: WeightSet) -> tuple[str, ...]:
    return (
        entry.name,
        str(entry.model.num_classes),
        f"{entry.size_mb:g} MB" if entry.size_mb else "?",
        f"{entry.miou[0].value:.2f} {entry.miou[0].split}" if entry.miou else "-",
        entry.license,
        "yes" if cached_weights(entry) else "",
    )


def _network(config: ModelConfig | KerasHubConfig | ExportedConfig) -> dict[str, str]:
    """The choices of a network that has them, under the names of `ModelConfig`."""
    height, width = config.input_size
    stride = {"output stride": str(config.output_stride)} if config.output_stride else {}
    sizes = {**stride, "input": f"{height}x{width}"}
    if isinstance(config, KerasHubConfig):
        return {"network": f"{PREFIX}{config.hub} of KerasHub", **sizes}
    if isinstance(config, ExportedConfig):
        return {"backbone": config.backbone, **sizes}
    multiplier = config.depth_multiplier
    scaled = f", depth multiplier {multiplier:g}" if multiplier != 1 else ""
    rates = f", rates {', '.join(map(str, config.dilation_rates))}" if config.dilation_rates else ""
    changed = {"attention": "none", "upsampling": "bilinear", "norm": "batch"}
    return {
        "backbone": f"{config.backbone}{scaled}",
        "head": f"{config.head}{rates}",
        "decoder": config.decoder,
        **{name: value for name in changed if (value := getattr(config, name)) != changed[name]},
        **sizes,
    }


def _cost(
    config: ModelConfig | KerasHubConfig | ExportedConfig, size: tuple[int, int]
) -> dict[str, str]:
    """Counted on the network with random weights."""
    if isinstance(config, ExportedConfig):
        return {}
    from easyseg.models.build import build_model, logits_model  # noqa: PLC0415  (loads Keras)
    from easyseg.models.summary import count, memory  # noqa: PLC0415

    model, image = build_model(config), f"for an image of {size[0]}x{size[1]}"
    cost, needed = count(model, size), memory(logits_model(model), size)
    return {
        "parameters": f"{cost.parameters:,}",
        "multiply-adds": f"{_large(cost.multiply_adds)} {image}",
        "memory": f"{needed.weights / 1e6:.1f} MB of weights, {needed.activations / 1e6:.1f} MB of "
        f"activations at their peak {image} (float32)",
    }


def _large(number: int) -> str:
    return f"{number / 1e9:.2f} billion" if number >= 1e8 else f"{number / 1e6:.2f} million"
