"""What turns rows into scores: one runtime a format."""
