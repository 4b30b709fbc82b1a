"""Scenes of gigapixels in TIFF files: read by windows, written by tiles, with their position."""
