"""Exported directories inside other tools. Needs torch, transformers and the tool; never fairseq."""
