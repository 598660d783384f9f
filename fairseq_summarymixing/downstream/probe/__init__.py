"""Probe frozen encoders: hidden states of all layers, a weighted sum of these, a small head, its scores."""
