"""What a replay costs beyond the trainings in it, and how that grows with rows and features."""
