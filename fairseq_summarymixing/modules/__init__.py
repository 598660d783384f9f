"""The method in pure PyTorch: nothing here imports fairseq, transformers or the rest of the package."""
