"""From folders of recordings to fairseq manifests, and a demo corpus; neither torch nor fairseq."""
