"""What a pre-trained encoder is worth: decoding of fine-tuned checkpoints and their word error rate."""
