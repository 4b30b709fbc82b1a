"""PixelLib's classes and methods on top of easyseg: change the import, keep the script.

    from easyseg.pixellib.semantic import semantic_segmentation   # was: pixellib.semantic
    from easyseg.pixellib.tune_bg import alter_bg                 # was: pixellib.tune_bg

What they return has PixelLib's form (frames and images are BGR, as OpenCV's), without its
defects; `docs/from-pixellib.md` lists the differences. Instance segmentation is not here.
"""
