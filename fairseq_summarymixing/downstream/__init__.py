"""Use a trained encoder: features, decoding of fine-tuned checkpoints, and word error rates."""
