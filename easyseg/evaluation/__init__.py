"""How good a model is: metrics, scores, reports."""
