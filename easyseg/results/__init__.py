"""What a segmentation holds, draws and writes."""
