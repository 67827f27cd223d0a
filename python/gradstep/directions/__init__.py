"""Steps whose direction is computed of whole matrices, with BLAS, ahead of a plain rule."""
