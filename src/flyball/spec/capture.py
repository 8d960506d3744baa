"""`capture:` what may be kept of requests, and for how long: personal data stay out by declaration."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from flyball.spec.fields import Section, Span, parse_share


class SampleSpec(Section):
    sample: Annotated[float, BeforeValidator(parse_share), Field(gt=0.0, le=1.0)]
    """Share of the predictions whose value is kept, chosen by the prediction's id; drift of the column is judged on them."""


class CaptureSpec(Section):
    fields: dict[str, Literal["keep", "hash", "drop"] | SampleSpec] = {}
    """Feature → what is kept of it: `keep`, `hash` (keyed, so that it cannot be guessed), `drop`, or `{sample: 10%}`. What is not named is kept.

    Drift of what is hashed or dropped is not monitored."""
    keys: Literal["keep", "hash", "drop"] = "keep"
    """What is kept of the keys that requests bring."""
    keep: Span | None = None
    """How long control holds a prediction and waits for its label, and how long segments stay on the disk. None: for ever.

    Counted from the newest window that has closed, in whole windows; what an open release compares is held until it ends."""
