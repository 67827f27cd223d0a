"""Optimizers whose step evaluates the loss itself, and what runs any of them to a minimum."""
