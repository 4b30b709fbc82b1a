"""Training of the embedded models: `tools/train_embedded.py` is its command line."""
