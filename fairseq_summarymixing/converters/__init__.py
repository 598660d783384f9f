"""Convert checkpoints to and from other tools; no other package knows two sides."""
