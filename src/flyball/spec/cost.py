"""`cost:` what a wrong answer and a minute of training are worth, in the project's own unit."""

from pydantic import Field

from flyball.spec.fields import Section

MOST = 1e12
"""Of any unit: times the rows of a year it is still a number."""


class CostSpec(Section):
    error: float = Field(default=1.0, gt=0.0, le=MOST)
    """Of an answer that is as wrong as can be (a bounded loss of 1); everything else is worth its share of it."""
    training_minute: float | None = Field(default=None, ge=0.0, le=MOST)
    """None: training is taken to cost nothing, and only what is shown to be better counts."""
