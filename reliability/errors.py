"""Errors of reliability.

ReliabilityError
├── InvalidReliability   a figure that no belief can have
├── InvalidObservation   an observation or a label that cannot be counted
├── UnknownEstimator     a name that the table of estimators lacks
└── NotCalibrated        too few labelled questions to say what a score is worth
"""


class ReliabilityError(Exception):
    """Base of everything reliability raises on purpose; the message is fit for a user."""

    code = "reliability_error"


class InvalidReliability(ReliabilityError):
    code = "invalid_reliability"


class InvalidObservation(ReliabilityError):
    code = "invalid_observation"


class UnknownEstimator(ReliabilityError):
    code = "unknown_estimator"


class NotCalibrated(ReliabilityError):
    code = "not_calibrated"
