"""A data plane without a control plane: the routing file that a person writes is its only master.

Nothing is imported here: who follows the file must not hold what reading it takes.
"""
