"""From long recordings with marks of where there is speech to segments of a length to train on."""
