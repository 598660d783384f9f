"""Make a corpus of synthetic speech from nothing, to show and test the whole job with."""
