"""What makes a training step cheap; the layers in ``modules`` compute the same without."""
