"""Data that ships with easyseg: the weight manifest, label sets, the small embedded model."""
