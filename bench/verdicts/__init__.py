"""What verdicts of releases are worth: how often they are wrong, how soon they see harm, beside tests and thresholds that others use."""
