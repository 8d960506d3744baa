"""What Flyball's own parts cost, each beside a floor that is measured in the same run."""
