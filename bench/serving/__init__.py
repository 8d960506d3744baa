"""What the gateway does under load, beside a floor, a ceiling and other servers of the same model, in turn in one run."""
