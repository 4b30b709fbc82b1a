"""Export: a model as one file that runs elsewhere, compared with Keras before it is kept."""
