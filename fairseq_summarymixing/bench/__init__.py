"""Measure and report what a training step costs."""
