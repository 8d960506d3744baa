"""The rollout: traffic, analysis, next state. Pure."""
