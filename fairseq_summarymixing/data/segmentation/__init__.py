"""Cut long recordings with marks of speech into segments of a length to train on."""
