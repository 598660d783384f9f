"""Checkpoints to and from other tools: the only place that knows two sides."""
