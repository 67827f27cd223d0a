"""Training that goes on another time: checkpoints, and state of PyTorch's optimizers."""
