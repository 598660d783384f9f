"""SpeechBrain's MP3S benchmark over checkpoints: its recipes, unmodified, in processes of their own, and the table."""
