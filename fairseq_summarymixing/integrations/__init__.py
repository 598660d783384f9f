"""Use exported directories inside other tools; this needs torch, transformers and the tool, never fairseq."""
