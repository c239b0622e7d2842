"""Errors of reliability.

ReliabilityError
└── InvalidReliability   a figure that no belief can have
"""


class ReliabilityError(Exception):
    """Base of everything reliability raises on purpose; the message is fit for a user."""

    code = "reliability_error"


class InvalidReliability(ReliabilityError):
    code = "invalid_reliability"
