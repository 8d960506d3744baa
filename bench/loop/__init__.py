"""The autopilot's brain on streams of real rows, beside schedules, detectors and a hindsight oracle."""
