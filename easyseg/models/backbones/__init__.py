"""Backbones: each gives low-level features at strides 4 and 8 and one at the output stride.

A family is one file with its table of variants. The names of all variants are in `registry`
too, so that a config can be checked without loading Keras.
"""
