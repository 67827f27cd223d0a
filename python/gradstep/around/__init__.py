"""Wrappers around optimizers: what they add to the steps of any of them."""
