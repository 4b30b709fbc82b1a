"""Decoders turn features into logits."""
