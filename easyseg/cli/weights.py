"""`easyseg models`, `easyseg download`, `easyseg info`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from easyseg.cli.quiet import load_framework
from easyseg.config import ModelConfig
from easyseg.labels import load_label_set
from easyseg.resources import pretrained_path
from easyseg.weights.bundle import MINI, bundle_folder, read_bundle, read_card
from easyseg.weights.fetch import cached_weights
from easyseg.weights.manifest import WeightSet, weight_set, weight_sets

__all__ = ["download", "info", "models"]


@click.command()
def models() -> None:
    """List the models, and which are in the cache."""
    rows = [("NAME", "CLASSES", "SIZE", "MIOU", "LICENCE", "CACHED")]
    rows.append(_embedded_row())
    rows += [_row(entry) for entry in weight_sets().values()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())


@click.command()
@click.argument("name")
@click.option(
    "--from",
    "file",
    type=click.Path(path_type=Path),
    help="Import this .tar.gz or .h5, downloaded by hand.",
)
def download(name: str, file: Path | None) -> None:
    """Get the weights of NAME into the cache; a broken download goes on where it stopped."""
    if name == MINI:
        click.echo(f"{MINI} comes with easyseg; there is nothing to download.")
        return
    entry = weight_set(name)
    load_framework()
    from easyseg.open import import_file, open_model  # noqa: PLC0415  (loads Keras)

    if file is not None:
        click.echo(f"{name} imported: {import_file(name, file)}")
        return
    open_model(name)
    click.echo(f"{name} ready: {cached_weights(entry)}")


@click.command()
@click.argument("name")
def info(name: str) -> None:
    """Tell all that is known about the model NAME, or about a bundle's folder."""
    folder = bundle_folder(name)
    if folder is not None:
        config = read_bundle(folder).config
        click.echo(f"network   {_network(config)}\ncost      {_cost(config)}")
        click.echo(f"\n{read_card(folder)}")
        return
    entry = weight_set(name)
    label_set = load_label_set(entry.labels)
    rows = {
        "name": entry.name,
        "classes": f"{len(label_set)} of {label_set.name}: {', '.join(label_set.names[:12])}, …",
        "network": _network(entry.model),
        "mIoU": "; ".join(f"{s.value:.2f} on {s.split} ({s.conditions})" for s in entry.miou)
        or "none published",
        "from": entry.origin,
        "address": entry.url,
        "size": _size(entry),
        "hash": entry.known_hash or "none published; the first download is recorded and trusted",
        "licence": entry.licence,
        "cached": str(cached_weights(entry) or "no"),
    }
    if entry.note:
        rows["note"] = entry.note
    for key, value in rows.items():
        click.echo(f"{key:<9} {value}")
    click.echo(f"{'cost':<9} {_cost(entry.model)}")


def _embedded_row() -> tuple[str, str, str, str, str, str]:
    bundle = read_bundle(pretrained_path(MINI))
    size = bundle.weights.stat().st_size / 1e6
    miou = re.search(r"mIoU (0\.\d+)", read_card(bundle.weights.parent))
    shown = f"{100 * float(miou[1]):.2f}" if miou else "-"
    return MINI, str(bundle.config.classes), f"{size:.1f} MB", f"{shown} card", "MIT", "comes along"


def _row(entry: WeightSet) -> tuple[str, str, str, str, str, str]:
    return (
        entry.name,
        str(entry.model.classes),
        f"{entry.size_mb:g} MB" if entry.size_mb else "?",
        f"{entry.miou[0].value:.2f} {entry.miou[0].split}" if entry.miou else "-",
        entry.licence,
        "yes" if cached_weights(entry) else "",
    )


def _size(entry: WeightSet) -> str:
    if entry.bytes:
        return f"{entry.bytes:,} bytes"
    return f"about {entry.size_mb:g} MB" if entry.size_mb else "unknown"


def _cost(config: ModelConfig) -> str:
    load_framework()
    from easyseg.models.build import build_model  # noqa: PLC0415  (loads Keras)
    from easyseg.models.inspect import count  # noqa: PLC0415

    cost = count(build_model(config), config.input_size)
    height, width = config.input_size
    return (
        f"{cost.parameters:,} parameters, {cost.multiply_adds / 1e9:.2f} billion multiply-adds "
        f"for {height}x{width}"
    )


def _network(config: ModelConfig) -> str:
    width = f" x{config.depth_multiplier:g}" if config.depth_multiplier != 1 else ""
    context = {"aspp": "image pooling", "dpc": "dense prediction cell", "lraspp": "LR-ASPP"}
    head = f"ASPP rates {config.dilation_rates}" if config.dilation_rates else context[config.head]
    decoder = {"deeplabv3plus": "DeepLabV3+", "lraspp": "Sum of logits", "none": "DeepLabV3"}
    return (
        f"{decoder[config.decoder]}, {config.backbone}{width}, {head}, output stride "
        f"{config.output_stride}, input {config.input_size[0]}x{config.input_size[1]}"
    )
