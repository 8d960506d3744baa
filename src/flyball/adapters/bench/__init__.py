"""What this machine can do with a model, and where the time goes."""
