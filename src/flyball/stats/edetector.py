"""e-detectors: alarms with a stated average run length, whenever and as often as one looks (Shin, Ramdas & Rinaldo, arXiv 2203.03532)."""

from collections.abc import Sequence

CEILING = 1e12
"""Beyond any threshold in use. Keeps a stored value finite when nobody acts on an alarm."""

BET_FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 0.95)
"""Of the largest admissible bet on a mean. Never 1: one lowest observation would take all that was won."""


def mean_bets(value: float, bound: float, lower: float) -> tuple[float, ...]:
    """One e-value per bet for H₀: E[value | past] ≤ bound, with value ≥ lower: 1 + λ(value − bound), 0 ≤ λ < 1/(bound − lower) (Waudby-Smith & Ramdas 2024, § 4)."""
    if not lower < bound:
        raise ValueError(f"expected lower < bound, found {lower} and {bound}")
    if value < lower:
        raise ValueError(f"expected a value ≥ {lower}, found {value}")
    return tuple(1.0 + share * (value - bound) / (bound - lower) for share in BET_FRACTIONS)


def start(n_bets: int) -> tuple[float, ...]:
    """A detector that has seen nothing."""
    return (0.0,) * n_bets


def advance(values: Sequence[float], e_values: Sequence[float], share: float = 0.0, unit: float = 1.0) -> tuple[float, ...]:
    """Shiryaev–Roberts: R ← (1 + R) · e for each bet. Under H₀ E[R_τ] ≤ E[τ] for every stopping time τ, so that R ≥ c has a mean run length of at least c.

    `unit` instead of 1, known before the value: E[R_τ] is at most the expected sum of the units.

    `share` of what the bets hold is first divided equally among them (Herbster & Warmuth 1998): the sum, and with it the bound, stays, and the
    mixture may follow whichever bet is best now.

    >>> advance((0.0, 3.0), (2.0, 0.5))
    (2.0, 2.0)
    """
    common = share * level(values)
    return tuple(min((unit + common + (1.0 - share) * value) * e, CEILING) for value, e in zip(values, e_values, strict=True))


def gain(values: Sequence[float], e_values: Sequence[float], unit: float = 1.0) -> float:
    """What these bets add to the level beyond `unit`; above 0 where they were won.

    Without a bet (ties: an e-value of exactly 1) the level still grows by 1 each time, and reaches any threshold by the clock. An alarm that waits for a bet
    that is won is a later stopping time: the bound on the run length stays.

    >>> gain((99.0,), (1.0,))
    0.0
    """
    return sum((unit + value) * (e - 1.0) for value, e in zip(values, e_values, strict=True)) / len(values)


def level(values: Sequence[float]) -> float:
    """The mixture of the bets: an average of e-detectors is an e-detector, under any dependence."""
    return sum(values) / len(values)
