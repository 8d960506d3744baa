"""The names that a policy's condition may use. One table: the check of flyball.yaml, the autopilot and the documentation read it."""

from typing import NamedTuple


class Signal(NamedTuple):
    type: type
    words: str


SIGNALS: dict[str, Signal] = {
    "performance.alarm": Signal(
        bool, "a performance finding was raised on the champion in this window or stands unacknowledged since it became champion"
    ),
    "performance.loss_increase": Signal(
        float,
        "mean bounded loss of the champion's mature windows minus its baseline; once a person has taken a worse loss as normal, of those since "
        "then minus that (0 when nothing is mature)",
    ),
    "performance.estimated_alarm": Signal(
        bool, "without labels: the estimate says that the champion became worse, and nobody has seen it yet"
    ),
    "performance.estimated_increase": Signal(
        float,
        "mean bounded loss of the champion's newest window as estimated without labels, minus its baseline (0 when void, without traffic, "
        "of fewer than `monitor.min_rows` rows, or while that window cannot be judged)",
    ),
    "concept.alarm": Signal(
        bool, "labels no longer follow the answers as they did: a concept-drift finding stands unacknowledged"
    ),
    "drift.alarm": Signal(
        bool, "a feature-drift finding that matters to the model stands unacknowledged since the champion took over"
    ),
    "drift.features": Signal(int, "number of features with such a finding"),
    "drift.benign": Signal(int, "number of features that have drifted and do not matter to the model"),
    "drift.dependence": Signal(bool, "features depend on one another differently, and nobody has seen it yet"),
    "drift.predictions": Signal(bool, "a prediction-drift finding stands unacknowledged since the champion took over"),
    "quality.alarm": Signal(
        bool, "a data-quality finding stands unacknowledged: missing values, a changed unit, a frozen or swapped column"
    ),
    "operations.alarm": Signal(
        bool, "traffic, latency, failures, missing values or label delay are not what they are at this time"
    ),
    "serving.alarm": Signal(
        bool, "a gateway does not serve what it should, rows could not be answered, or a release has nobody to go back to"
    ),
    "incident.data_fault": Signal(
        bool, "an open incident is taken for a fault upstream: a column, its unit, its categories, or labels that no world makes"
    ),
    "incident.covariate_shift": Signal(
        bool, "an open incident is taken for other rows than before, whose labels follow as they did"
    ),
    "incident.label_shift": Signal(
        bool, "an open incident is taken for classes that became more or less frequent, each looking as it did"
    ),
    "incident.concept_shift": Signal(bool, "an open incident is taken for other labels of the same rows"),
    "incident.bad_release": Signal(bool, "an open incident is taken for one that came with the champion"),
    "incident.infrastructure": Signal(bool, "an open incident is taken for gateways, traffic or the ways of labels"),
    "incident.unknown": Signal(bool, "an open incident is of a kind that what is known does not tell"),
    "autopilot.breaker_open": Signal(
        bool, "the autopilot's breaker is open: no policy changes who answers until a person closes it"
    ),
    "improvement.worthwhile": Signal(
        bool, "a tournament is expected to gain more than it costs: there are many more labelled rows, or the loss has risen"
    ),
    "improvement.gain": Signal(float, "expected gain of a tournament now, relative to the champion's loss"),
    "improvement.value": Signal(float, "the same until the next opportunity, in the unit of `cost:`, costs taken off"),
    "improvement.growth": Signal(float, "doublings of the labelled rows since somebody was last trained"),
    "improvement.excess": Signal(
        float, "relative rise of the champion's loss in its newest windows; 0 where there is none beyond what windows differ by"
    ),
    "improvement.rows_since": Signal(
        int, "labelled rows since the loss has risen, under the champion or, while that is not undone, before it"
    ),
    "improvement.lost_in_a_row": Signal(
        int,
        "newest tournaments that trained somebody beside the champion's version and that nobody won, without another between them",
    ),
    "champion.age_days": Signal(float, "days since the champion took over"),
    "champion.data_age_days": Signal(
        float, "days since the newest row that the champion was trained on or judged by, its map and its threshold included"
    ),
    "window.predictions": Signal(int, "rows answered in the window"),
    "window.labels": Signal(int, "labels joined so far to rows of the window"),
    "history.retrainings": Signal(int, "retrainings started so far, by policies and by people; the first version's is none"),
    "history.days_since_retraining": Signal(
        float, "days since the last retraining was started, by a policy or by a person (100000 if never)"
    ),
}
