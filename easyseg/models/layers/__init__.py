"""Layers used by several networks."""
