"""What a user declares in flyball.yaml: parsed strictly, all faults reported together with their paths."""

from flyball.spec.capture import CaptureSpec, SampleSpec
from flyball.spec.data import DataSpec, FeatureSpec, SourceSpec
from flyball.spec.gates import AbsoluteGate, ChampionGate, GatesSpec
from flyball.spec.monitor import FalseAlarms, MonitorSpec
from flyball.spec.policies import DoSpec, PolicySpec
from flyball.spec.project import ProjectSpec
from flyball.spec.release import CanaryStep, ReleaseSpec, ShadowSpec
from flyball.spec.replay import ReplaySpec
from flyball.spec.serve import ServeSpec
from flyball.spec.train import EvaluateSpec, TrainSpec, TuningSpec

__all__ = [
    "AbsoluteGate", "CanaryStep", "CaptureSpec", "ChampionGate", "DataSpec", "DoSpec", "EvaluateSpec", "FalseAlarms", "FeatureSpec",
    "GatesSpec", "MonitorSpec", "PolicySpec", "ProjectSpec", "ReleaseSpec", "ReplaySpec", "SampleSpec", "ServeSpec", "ShadowSpec", "SourceSpec",
    "TrainSpec", "TuningSpec",
]  # fmt: skip
