"""Trust on first use: what came from the addresses for which no hash is published."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock

from easyseg.errors import WeightsError

__all__ = ["trust", "trusted_file", "trusted_hash"]


def trusted_file(home: Path) -> Path:
    """The file in the cache that records what was trusted."""
    return home / "trusted.json"


def trusted_hash(home: Path, url: str) -> str | None:
    """Hash of the first download from this address as "sha256:<hex>", or `None`."""
    row = _read(home).get(url)
    return f"sha256:{row['sha256']}" if row else None


def trust(home: Path, url: str, row: dict[str, Any]) -> None:
    """Records a first download; what is on record already stays."""
    path = trusted_file(home)
    with FileLock(path.with_suffix(".lock")):
        rows = {url: row, **_read(home)}
        with tempfile.TemporaryDirectory(dir=home, prefix=".trusted-") as folder:
            written = Path(folder, path.name)
            written.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
            written.replace(path)


def _read(home: Path) -> dict[str, Any]:
    path = trusted_file(home)
    try:
        rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise WeightsError(f"{path} is not valid JSON ({error}); correct or delete it.") from error
    return rows
