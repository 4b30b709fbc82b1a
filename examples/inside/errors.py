"""
Errors
======

Every error is an ``EasysegError`` whose message names the cause and a cure. Errors are also
Python's own: a missing image is a ``FileNotFoundError`` too.
"""

import matplotlib.pyplot as plt

from easyseg import SemanticSegmentation, errors, list_models

seg = SemanticSegmentation("mini")
attempts = {
    "missing file": lambda: seg.segment_image("no_such_file.jpg"),
    "no such class": lambda: seg.segment_image("photo.jpg", classes="persn"),
    "no such model": lambda: SemanticSegmentation("mobilenetv2.vocc"),
    "no such data set": lambda: seg.evaluate("no_such_folder"),
}
messages = []
for name, attempt in attempts.items():
    try:
        attempt()
    except errors.EasysegError as error:
        messages.append(f"{type(error).__name__}: {error}")
        print(f"{name:17} {messages[-1]}")

# %%
# The models that have a name, by the number of them for each data set:

sets = [name.partition(".")[2].partition("_")[0] or "installed" for name in list_models()]
plt.figure(figsize=(6, 2.6), layout="constrained")
plt.barh(names := sorted(set(sets)), [sets.count(name) for name in names], color="#2a9d8f")
plt.xlabel("models")
