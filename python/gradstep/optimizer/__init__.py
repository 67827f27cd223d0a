"""NumPy's front: it holds parameters, groups and state, and takes the steps."""
