"""What an optimizer is made of: hyperparameters, state slots, coefficients. No arrays in here."""
