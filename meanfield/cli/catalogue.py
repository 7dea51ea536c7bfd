"""``meanfield list``: the nonlinearities known by name."""
