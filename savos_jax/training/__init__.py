"""State, steps, loop and checkpoints of training."""
