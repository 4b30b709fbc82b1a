"""
Tables of images
================

Ray, Spark, Dask and process pools distribute tables. A ``Segmenter`` takes a table with a column of
paths and returns one with results; each process opens the model when its first table arrives.
"""

import matplotlib.pyplot as plt
import pandas as pd
from PIL import Image
from skimage import data

from easyseg.distributed import Segmenter

for name in ("astronaut", "cat", "camera"):
    Image.fromarray(getattr(data, name)()).save(f"{name}.png")
segmenter = Segmenter("mini", out="results")
table = segmenter(pd.DataFrame({"path": ["astronaut.png", "cat.png", "camera.png", "missing.png"]}))
print(table[["path", "width", "height", "error"]].to_string())

# %%
# An image that cannot be read is a row with its error. The others have classes and their areas.

areas = table[table["error"].isna()][["path", "classes", "ratios"]].explode(["classes", "ratios"])
areas = areas[areas["ratios"] > 0.01].pivot(index="path", columns="classes", values="ratios")
areas.plot.barh(stacked=True, figsize=(7, 2.8), xlabel="area", ylabel="", colormap="Set2")
plt.tight_layout()
