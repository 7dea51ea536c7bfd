"""Critical points of tests that look at the number, whether or not it attracts."""

import warnings

import meanfield as mf
from meanfield.errors import UnstableCriticalPointWarning

__all__ = ["quiet_point"]


def quiet_point(phi, **given):
    """critical_point with the warning about instability set aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnstableCriticalPointWarning)
        return mf.critical_point(phi, **given)
