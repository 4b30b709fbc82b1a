"""Writes the tables of docs/models.md, performance.md and choosing-a-model.md.

    python tools/generate_docs.py

A table stands between `<!-- NAME -->` and `<!-- end -->`; the rest of the page is written by hand.
Counts are those of benchmarks/results/costs.csv (`python benchmarks/costs.py`), times those of
networks.csv (`python benchmarks/networks.py`) and, at each model's own input size, own_size.csv's
(`--own-size`), those of runtimes runtimes.csv's (`python benchmarks/runtimes.py`).
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/models.md"
SPEED = ROOT / "docs/performance.md"
CHOICE = ROOT / "docs/choosing-a-model.md"
sys.path.insert(0, str(ROOT / "benchmarks"))

from costs import backbones, published  # noqa: E402
from networks import distinct, row_of  # noqa: E402

from easyseg.inference.runtimes import RUNTIMES  # noqa: E402
from easyseg.models.config import ModelConfig  # noqa: E402
from easyseg.results.label_set import load_label_set  # noqa: E402
from easyseg.utils.resources import pretrained_path  # noqa: E402
from easyseg.weights.bundle import read_bundle  # noqa: E402
from easyseg.weights.manifest import WeightSet, weight_sets  # noqa: E402

__all__ = ["CHOICE", "PAGE", "SPEED", "ZOO", "choice_page", "page", "speed_page"]

ZOO = {  # billions of multiply-adds at one scale, in the list of DeepLab's model zoo
    "mobilenetv2.voc": 2.75,
    "mobilenetv2_050.voc": 0.88,
    "mobilenetv2.cityscapes": 21.27,
    "xception65.voc": 54.17,
    "xception65.cityscapes": 418.64,
    "xception71.cityscapes": 502.07,
    "mobilenetv3_large.cityscapes": 15.95,
    "mobilenetv3_small.cityscapes": 4.63,
}
Row = dict[str, str]


def page(old: str) -> str:
    """The page with its tables regenerated."""
    costs, times = results("costs"), results("networks")
    missing = [name for name, _ in (*published(), *backbones()) if name not in costs]
    if missing:
        raise SystemExit(
            f"{', '.join(missing)}: not in benchmarks/results/costs.csv. Run: "
            "python benchmarks/costs.py --new"
        )
    tables = {
        "weights": weights_table(costs, times),
        "backbones": backbones_table(costs, times),
        "zoo": zoo_table(costs),
    }
    return replaced(PAGE, old, tables)


def speed_page(old: str) -> str:
    """The page on speed with its table regenerated."""
    return replaced(SPEED, old, {"runtimes": runtimes_table()})


def choice_page(old: str) -> str:
    """The page on choosing a model with its table regenerated."""
    return replaced(CHOICE, old, {"own-size": own_size_table()})


def replaced(page: Path, old: str, tables: dict[str, str]) -> str:
    """The page with new tables."""
    for name, table in tables.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        old, count = re.subn(pattern, rf"\g<1>\n{table}\n\g<2>", old, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{page} has {count} markers <!-- {name} -->; it needs exactly one.")
    return old


def results(name: str) -> dict[str, Row]:
    """The rows of a results file, by network."""
    with (ROOT / f"benchmarks/results/{name}.csv").open(newline="") as file:
        return {row["network"]: row for row in csv.DictReader(file)}


def weights_table(costs: dict[str, Row], times: dict[str, Row]) -> str:
    """The models that have weights."""
    head = ["Name", "Classes", "Download", "Parameters", "Multiply-adds", "mIoU", "Time"]
    rows = []
    for name, config in published():
        entry = weight_sets().get(name)
        rows.append(
            [
                f"`{name}`",
                classes(name),
                download(entry) if entry else "included",
                *counted(costs[name], size=True),
                scores(entry) if entry else f"[its card](../pretrained/{name}/card.md)",
                time(config, times),
            ]
        )
    return markdown(head, rows)


def own_size_table() -> str:
    """The distinct models, the least work first: input size, published mIoU and measured time."""
    costs, times = results("costs"), results("own_size")
    rows = []
    models = distinct()
    for name in sorted(models, key=lambda name: int(costs[name]["multiply_adds"])):
        entry, cost, row = weight_sets().get(name), costs[name], times.get(name)
        rows.append(
            [
                f"`{name}`",
                classes(name),
                f"{cost['height']}x{cost['width']}",
                f"{int(cost['multiply_adds']) / 1e9:.1f} B",
                f"{float(row['ratio']):.2f} ({row['ratio_min']} to {row['ratio_max']})"
                if row
                else "not measured",
                f"{entry.miou[0].value:.2f} {entry.miou[0].split}"
                if entry and entry.miou
                else f"[its card](../pretrained/{name}/card.md)",
            ]
        )
    return markdown(["Model", "Classes", "Input", "Multiply-adds", "Time", "mIoU"], rows)


def backbones_table(costs: dict[str, Row], times: dict[str, Row]) -> str:
    """The backbones, each in the same network."""
    head = ["Backbone", "Output stride", "Parameters", "Multiply-adds", "Time"]
    rows = [
        [
            f"`{name}`",
            costs[name]["output_stride"],
            *counted(costs[name], size=False),
            time(config, times),
        ]
        for name, config in backbones()
    ]
    return markdown(head, rows)


def zoo_table(costs: dict[str, Row]) -> str:
    """Multiply-adds as counted here and as listed by the model zoo."""
    rows = []
    for name, zoo in ZOO.items():
        row = costs[name]
        ours = int(row["multiply_adds"]) / 1e9
        size = f"{row['height']}x{row['width']}, stride {row['output_stride']}"
        rows.append([f"`{name}`", size, f"{ours:.2f}", f"{zoo:.2f}", f"{ours / zoo:.3f}"])
    return markdown(["Network", "Input", "Counted", "Zoo", "Ratio"], rows)


def runtimes_table() -> str:
    """Milliseconds and their ratio to Keras, for each network."""
    with (ROOT / "benchmarks/results/runtimes.csv").open(newline="") as file:
        measured = list(csv.DictReader(file))
    networks = list(dict.fromkeys(row["network"] for row in measured))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in measured:
        if row["runtime"].split()[0].strip(",") in RUNTIMES and "labels" not in row["runtime"]:
            cell = f"{float(row['ms']):.0f} ms, {float(row['ratio']):.2f}"
            cells.setdefault((row["runtime"], row["precision"]), {})[row["network"]] = cell
    rows = [
        [*key, *(found.get(network, "") for network in networks)] for key, found in cells.items()
    ]
    return markdown(["Runtime", "Precision", *networks], rows)


def classes(name: str) -> str:
    """Number of classes and label set."""
    entry = weight_sets().get(name)
    if entry:
        label_set = load_label_set(entry.labels)
    else:
        label_set = read_bundle(pretrained_path(name)).label_set
    return f"{len(label_set)}, {label_set.name}"


def download(entry: WeightSet) -> str:
    """Size and kind of the file."""
    size = f"{entry.size_mb:g} MB" if entry.size_mb else "size unknown"
    return size if entry.file_format == "tf_checkpoint" else f"{size}, Keras .h5"


def counted(row: Row, *, size: bool) -> tuple[str, str]:
    """Parameters in millions, multiply-adds in billions with the image size."""
    parameters, multiply_adds = (float(row[key]) for key in ("parameters", "multiply_adds"))
    at = f" at {row['height']}x{row['width']}, stride {row['output_stride']}" if size else ""
    return f"{parameters / 1e6:.2f} M", f"{multiply_adds / 1e9:.2f} B{at}"


def scores(entry: WeightSet) -> str:
    """The published mIoU, with its conditions."""
    return "; ".join(f"{s.value:.2f} {s.split} ({s.conditions})" for s in entry.miou) or "none"


def time(config: ModelConfig, times: dict[str, Row]) -> str:
    """Measured, as a multiple of Xception-65's."""
    row = times.get(row_of(config) or "")
    return f"{float(row['ratio']):.2f}" if row else "not measured"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for path, regenerated in ((PAGE, page), (SPEED, speed_page), (CHOICE, choice_page)):
        path.write_text(regenerated(path.read_text("utf-8")), "utf-8")
        print(f"{path} written")
