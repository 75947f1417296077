"""Use cases: pull, match, reconcile, push. One transaction per page; none open across a provider call."""
