"""What a backbone takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from easyseg.errors import ConfigError
from easyseg.models.config import ModelConfig


class Features(NamedTuple):
    """What a backbone gives.

    A feature at stride 4 makes the decoder "deeplabv3plus" possible, one at stride 8 the decoder
    "lraspp", both the skips (4, 8).

    Attributes:
        low: Low-level features `(N, H/stride, W/stride, C)` by their stride.
        high: The last feature `(N, H/os, W/os, C)`, at the config's output stride.
    """

    low: Mapping[int, Any]
    high: Any

    def low_level(self, stride: int, config: ModelConfig) -> Any:
        """The low-level feature at this stride.

        Raises:
            ConfigError: There is none: a config checks this for the backbones of easyseg, but not
                for those that another package registered.
        """
        if stride not in self.low:
            raise ConfigError(
                f"decoder={config.decoder!r} needs a feature at stride {stride}, which "
                f"{config.backbone} does not give; choose decoder='none'."
            )
        return self.low[stride]


Backbone = Callable[[Any, ModelConfig], Features]
"""Takes the image `(N, H, W, 3)` RGB, 0 to 255, and the config."""
