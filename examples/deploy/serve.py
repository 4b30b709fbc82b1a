"""
A server, and its client
========================

``easyseg serve`` serves a model over HTTP; ``Remote`` is a client with the methods of a model. Here
both run in one program.
"""

import threading
import time

import uvicorn
from PIL import Image
from skimage import data

from easyseg import SemanticSegmentation
from easyseg.serve import ServeLimits, create_app
from easyseg.serve.client import Remote

limits = ServeLimits(max_mb=10)
app = create_app(SemanticSegmentation("mini"), limits)
server = uvicorn.Server(uvicorn.Config(app, port=8765, log_level="warning"))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.05)

# %%
# The client has no network of its own; its results are those of the server.

seg = Remote("http://127.0.0.1:8765")
result = seg.segment_image(Image.fromarray(data.camera()))
print(result)
server.should_exit = True
thread.join()
Image.fromarray(result.filter("person").plot(legend=True))
