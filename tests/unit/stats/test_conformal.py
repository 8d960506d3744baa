import numpy as np

from flyball.stats.conformal import conformal_p, digest_uniform


def test_online_p_values_are_uniform_and_independent_though_scores_tie():
    rng = np.random.default_rng(5)
    found = []
    for run in range(150):
        scores = rng.poisson(1.0, 40)
        found.append([conformal_p(scores[:i], scores[i], digest_uniform(str(run), str(i))) for i in range(40)])
    p = np.array(found)
    shares, _ = np.histogram(p, bins=10, range=(0, 1))
    assert np.all(np.abs(shares / p.size - 0.1) < 0.015)
    neighbours = np.corrcoef(p[:, :-1].ravel(), p[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 0.04


def test_the_drawn_number_depends_on_every_name_and_on_nothing_else():
    assert digest_uniform("a", "b") == digest_uniform("a", "b")
    assert digest_uniform("a", "b") != digest_uniform("ab", "")
    assert 0.0 < digest_uniform("a", "b") < 1.0
