"""Many streams, one budget."""

from collections.abc import Mapping


def e_bh(e_values: Mapping[str, float], weights: Mapping[str, float], threshold: float) -> tuple[str, ...]:
    """Names rejected by the weighted e-BH rule, largest first: the most k whose weighted values are all at least K · threshold / k.

    With e-values and threshold 1/α the false discovery rate is at most α under any dependence (Wang & Ramdas 2022, Theorem 2).
    With e-detectors and threshold c it is the e-d-BH rule (Dandapanthula & Ramdas, arXiv 2501.04130). Whenever it names anybody, the weighted average of
    the detectors is at least c; that average is an e-detector itself, so the mean run length of all together is at least c.
    `weights` are positive and sum to one.

    >>> e_bh({"a": 50.0, "b": 1.0}, {"a": 0.5, "b": 0.5}, 20.0)
    ('a',)
    """
    total = sum(weights[name] for name in e_values)
    if e_values and not 0.999999 < total < 1.000001:
        raise ValueError(f"expected weights that sum to 1, found {total}")
    count = len(e_values)
    weighted = sorted(((e_values[name] * weights[name] * count, name) for name in e_values), key=lambda pair: (-pair[0], pair[1]))
    named = 0
    for k, (value, _) in enumerate(weighted, start=1):
        if value >= count * threshold / k:
            named = k
    return tuple(name for _, name in weighted[:named])


def benjamini_hochberg(p_values: Mapping[str, float], weights: Mapping[str, float], level: float) -> tuple[str, ...]:
    """Names rejected by the weighted step-up rule, smallest p first: the most k whose p / weight are all at most k · level (Benjamini & Hochberg 1995;
    weights Genovese, Roeder & Wasserman 2006).

    Where nothing is wrong it names anybody with probability `level` at most: for independent p-values, and for positively dependent ones (Simes 1986; Sarkar
    1998; Benjamini & Yekutieli 2001), as two-sided statistics of correlated columns are in all that was tried. If some are wrong, the expected share of
    right ones among the named is at most `level`. Many that agree are not paid for many times, as Bonferroni's are.
    `weights` are positive and sum to at most one.

    >>> benjamini_hochberg({"a": 0.012, "b": 0.02, "c": 0.8}, {"a": 0.25, "b": 0.25, "c": 0.5}, 0.05)
    ('a', 'b')
    """
    ranked = sorted((p / weights[name], name) for name, p in p_values.items())
    named = max((k for k, (value, _) in enumerate(ranked, start=1) if value <= k * level), default=0)
    return tuple(name for _, name in ranked[:named])
