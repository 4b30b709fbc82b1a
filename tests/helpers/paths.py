"""Where things lie: this checkout, and other people's data beside it (a clone has none)."""

import os
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
SHARED = Path(os.environ.get("EASYSEG_SHARED", ROOT.parent / "shared"))
VOC_TARBALL = SHARED / "weights/deeplabv3_mnv2_pascal_train_aug.rebuilt.tar.gz"
HALF_TARBALL = SHARED / "weights/deeplabv3_mnv2_dm05_pascal.rebuilt.tar.gz"
