"""The proof of the model on the command line."""
