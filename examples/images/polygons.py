"""
Outlines for other programs
===========================

Masks as polygons, and as COCO, labelme and GeoJSON files for annotation tools and maps.
"""

import matplotlib.pyplot as plt
from skimage import data

from easyseg import SemanticSegmentation, load_label_set

labels = load_label_set("voc")
print(labels.names[labels.id_of("cat")], labels.palette[labels.id_of("cat")])

photo = data.cat()
result = SemanticSegmentation("mini").segment_image(photo).filter("cat")
for kind in ("coco", "labelme", "geojson"):
    result.save(f"cat.{kind}.json", kind)
(annotation,) = result.to_coco()["annotations"]
print({key: annotation[key] for key in ("category_id", "bbox", "area")})

# %%
# ``tolerance`` is how far, in pixels, an outline may lie from the pixels: fewer points.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for ax, tolerance in zip(axes, (0.0, 4.0), strict=True):
    (cat,) = result.to_polygons(tolerance=tolerance)["classes"]
    rings = [polygon["exterior"] for polygon in cat["polygons"]]
    ax.imshow(photo)
    for ring in rings:
        ax.fill(*zip(*ring, strict=True), facecolor="#00c8ff55", edgecolor="#00e5ff")
    ax.set_title(f"tolerance {tolerance:g}: {sum(map(len, rings))} points")
    ax.axis("off")
