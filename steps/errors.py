"""The one error that a step raises by itself."""


class StepRefusedError(ValueError):
    """A step was asked for what it must not, or cannot, do; the message says what a person can do about it.

    Trying again changes nothing, so an asset turns it into a failure without retries.
    """
