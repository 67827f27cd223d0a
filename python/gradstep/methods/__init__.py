"""The optimizers, one module per family. No array arithmetic happens in here."""
