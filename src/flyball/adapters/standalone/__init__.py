"""A data plane without a control plane: the routing file that a person writes is its only master."""

from flyball.adapters.standalone.follow import Follower
from flyball.adapters.standalone.routing_file import RoutingFile

__all__ = ["Follower", "RoutingFile"]
