"""
Own classes from labelme
========================

labelme writes a JSON file beside each image. Here the outlines found by "mini" are saved in this
format, as a draft to correct by hand; then a new class "pet" is trained from the corrected files.
"""

import json
from pathlib import Path

from PIL import Image
from skimage import data, transform

from easyseg import SemanticSegmentation

seg = SemanticSegmentation("mini")
Path("pets").mkdir(exist_ok=True)
for number, (scale, turned) in enumerate((s, t) for s in (0.4, 0.5, 0.6) for t in (False, True)):
    photo = transform.rescale(data.cat(), scale, channel_axis=-1)
    photo = (255 * photo[:, :: -1 if turned else 1]).astype("uint8")
    Image.fromarray(photo).save(f"pets/{number}.png")
    draft = seg.segment_image(f"pets/{number}.png").filter("cat")
    document = draft.to_labelme(tolerance=1, image_path=f"{number}.png")
    for shape in document["shapes"]:  # what one would do in labelme
        shape["label"] = "pet"
    Path(f"pets/{number}.json").write_text(json.dumps(document))

options = {"epochs": 3, "batch_size": 3, "learning_rate": 2e-3, "freeze_backbone_epochs": 0}
pets = seg.fine_tune("pets", progress=False, **options)
print(pets.label_set.names, [f"{epoch['val_mean_iou']:.3f}" for epoch in pets.history])
Image.fromarray(pets.segment_image(data.cat()).plot(legend=True))
