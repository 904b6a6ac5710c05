"""How long Azure's own delays last, and how each of them is recognised."""

from __future__ import annotations

import datetime as dt

from bootstrap.plugin.retry import Delay
from providers.acr.errors import AzureApiError

SETTLE_SECONDS = 4.0
"""How long a change without an answer may take to be shown."""
SETTLE_PAUSES = (1.0, 1.0, 1.0, 1.0)
"""Pauses between the reads that look for its effect."""
SPREADING_SECONDS = 180.0
"""How long some of Azure's servers may not know a new object: usually a minute, sometimes more.
"""
NEW_APPLICATION = dt.timedelta(minutes=10)
"""Up to this age some of Azure's servers may not know an application, also one that others have created."""
EXPECTED_SECONDS = 60.0
"""How long an offboarding waits for an object that Akka's record names and no read shows."""
SECRET_SHOWN_SECONDS = 60.0
"""How long a read may take to show a new client secret."""
SECRET_REMOVAL_SECONDS = 60.0
PASSWORD_REMOVAL_SECONDS = 30.0
PURGE_SECONDS = 10.0
"""How long the deleted items may take to show a new deletion. If they show one later, the next run restores
the object.
"""
CLOCKS = dt.timedelta(minutes=5)
"""How far two clocks may differ for Entra to issue a token."""
NEW_PASSWORD = dt.timedelta(minutes=10)
"""Up to this age a read may not show a token's password."""
SAME_CALL = dt.timedelta(minutes=10)
"""How far a password's creation time may be from a lost call for it to be that call's."""
_BUSY_SECONDS = 300.0
_BUSY = "Azure is busy or briefly away; trying again."
SPREADING = "Azure does not know the new application everywhere yet; this takes up to a minute."
_SHOWN_BEFORE = "Azure does not find the application that it has just shown; trying again."
APPLICATION_LAGS = "Azure does not show the application of an interrupted run yet; this takes up to a minute."
STILL_SHOWN = "Azure still shows a secret that it no longer knows; this takes up to a minute."


def busy(error: Exception) -> Delay | None:
    if not isinstance(error, AzureApiError) or not error.passing:
        return None
    return Delay(_BUSY, _BUSY_SECONDS, error.retry_after)


def busy_or_spreading(error: Exception) -> Delay | None:
    if isinstance(error, AzureApiError) and error.missing:
        return Delay(SPREADING, SPREADING_SECONDS)
    return busy(error)


def busy_or_shown_before(error: Exception) -> Delay | None:
    """Retry a 404 for an application that a read of this run has shown: nothing was done then, and Graph's
    servers differ.
    """
    if isinstance(error, AzureApiError) and error.missing:
        return Delay(_SHOWN_BEFORE, EXPECTED_SECONDS)
    return busy(error)


def not_shown_yet(error: Exception) -> Delay | None:
    """Retry a 404 too: the SDK reads what it has just created, and fails if that is not shown yet."""
    if isinstance(error, AzureApiError) and error.missing:
        return Delay("Azure does not show everywhere yet what was just created.", SPREADING_SECONDS)
    return busy(error)
