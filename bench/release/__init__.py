"""How a release goes wrong with real processes: killed controllers, dead ones, rollbacks from everywhere, candidates that misbehave."""
