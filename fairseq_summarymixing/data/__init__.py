"""Make fairseq manifests from folders of recordings, and a demo corpus; needs neither torch nor fairseq."""
