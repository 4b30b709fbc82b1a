"""Weights: the manifest of published ones, the cache, file formats, bundles."""
