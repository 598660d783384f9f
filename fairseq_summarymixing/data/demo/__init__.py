"""A corpus of synthetic speech, made from nothing, to show and test the whole job with."""
