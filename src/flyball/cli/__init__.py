"""The terminal: parse, call one use case, print."""


def main() -> None:
    """Entry point of the `flyball` command."""
    from flyball.cli.app import app

    app()
