"""Semantic segmentation with DeepLabV3+ in two lines of Python."""
