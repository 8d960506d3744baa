"""River's detectors over streams of errors: where each alarms, for each setting of its one knob."""

from river.drift import ADWIN, KSWIN, PageHinkley
from river.drift.binary import DDM, HDDMA, HDDMW
from serve import serve

DETECTORS = {
    "ADWIN": lambda knob: ADWIN(delta=knob),
    "KSWIN": lambda knob: KSWIN(alpha=knob, seed=1),
    "Page–Hinkley": lambda knob: PageHinkley(threshold=knob),
    "DDM": lambda knob: DDM(drift_threshold=knob),
    "HDDM_A": lambda knob: HDDMA(drift_confidence=knob),
    "HDDM_W": lambda knob: HDDMW(drift_confidence=knob),
}
BINARY = ("DDM", "HDDM_A", "HDDM_W")


class Watch:
    """One detector at one setting. Streams are frames of one column, `value`."""

    columns = ("value",)

    def __init__(self, reference, asked):
        del reference
        self.name, self.knob = asked["detector"], asked["knob"]

    def alarms(self, streams):
        """Where it alarmed, one list a stream."""
        return [self._alarms(stream["value"].to_numpy()) for stream in streams]

    def _alarms(self, values):
        detector, found = DETECTORS[self.name](self.knob), []
        for place, value in enumerate((values > 0.5 if self.name in BINARY else values).tolist()):
            detector.update(value)  # after an alarm it begins anew by itself
            if detector.drift_detected:
                found.append(place)
        return found


serve(Watch)
