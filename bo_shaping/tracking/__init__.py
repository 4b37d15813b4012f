"""A study in experiment trackers: one run per trial, fed by the process that drives the study.

`feed` is what the driver holds; `lines` says what there is to write of a trial; the other modules write it.
"""

from bo_shaping.tracking.feed import Feed, TrackingWarning

__all__ = ["Feed", "TrackingWarning"]
