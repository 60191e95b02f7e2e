"""All checks, in the order in which they run."""

from frameworks.checks import metadata, optional, parity, training

CHECKS = (*metadata.CHECKS, *training.CHECKS, *parity.CHECKS, *optional.CHECKS)
