"""Use cases and reconcile loops: the only room that knows more than one stage of the loop."""
