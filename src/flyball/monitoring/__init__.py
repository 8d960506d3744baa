"""Windows and profiles in; findings out. Pure."""
