"""From images to segmentations: preprocessing, the network, many images, videos."""
