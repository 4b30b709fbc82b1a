"""Published weights: what there is, how it comes here, and how it gets into a model."""
