"""
Own classes from labelme
========================

labelme writes a JSON file beside each image. Here the outlines found by "mini" are saved in this
format, as a draft to correct by hand; then a new class "astronaut" is trained from the files.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data, transform

from easyseg import SemanticSegmentation

seg = SemanticSegmentation("mini")
Path("crew").mkdir(exist_ok=True)
views = [(scale, turned) for scale in (0.28, 0.32, 0.36, 0.4) for turned in (False, True)]
for number, (scale, turned) in enumerate(views):
    photo = transform.rescale(data.astronaut(), scale, channel_axis=-1)
    photo = (255 * photo[:, :: -1 if turned else 1]).astype("uint8")
    Image.fromarray(photo).save(f"crew/{number}.png")
    draft = seg.segment_image(f"crew/{number}.png").filter("person")
    document = draft.to_labelme(tolerance=1, min_area=50, image_path=f"{number}.png")
    for shape in document["shapes"]:  # what one would do in labelme
        shape["label"] = "astronaut"
    Path(f"crew/{number}.json").write_text(json.dumps(document))

options = {"epochs": 10, "batch_size": 2, "learning_rate": 2e-3, "freeze_backbone_epochs": 0}
crew = seg.fine_tune("crew", progress=False, **options)
print(crew.label_set.names, [f"{epoch['val_mean_iou']:.3f}" for epoch in crew.history])
new = np.asarray(Image.fromarray(data.astronaut()).resize((180, 180)))
Image.fromarray(crew.segment_image(new).plot("side_by_side", legend=True))
