"""How long Azure's own delays last, and by what each of them is recognised."""

from __future__ import annotations

import datetime as dt

from bootstrap.plugin.retry import Delay
from providers.acr.errors import AzureApiError

SETTLE_SECONDS = 4.0
"""How long a change without an answer may take to show."""
SETTLE_PAUSES = (1.0, 1.0, 1.0, 1.0)
"""Between the looks for what it has created."""
SPREADING_SECONDS = 180.0
"""How long what was just created may be unknown to some of Azure's servers: mostly a minute, at times
more.
"""
EXPECTED_SECONDS = 60.0
"""How long an offboarding waits for what Akka's record names and no read shows."""
SECRET_SHOWN_SECONDS = 60.0
"""How long a read may take to show a new client secret."""
SECRET_REMOVAL_SECONDS = 60.0
PASSWORD_REMOVAL_SECONDS = 30.0
PURGE_SECONDS = 10.0
"""How long the deleted items may take to show what was just deleted. What they never show, the next run
restores.
"""
CLOCKS = dt.timedelta(minutes=5)
"""How far two clocks may be apart for Entra to give out a token."""
NEW_PASSWORD = dt.timedelta(minutes=10)
"""Up to which age of a token's password a read may not show it."""
SAME_CALL = dt.timedelta(minutes=10)
"""How far from a lost call the time of a password may be for it to be that call's."""
_BUSY_SECONDS = 300.0
_BUSY = "Azure is busy or briefly away; trying again."
SPREADING = "Azure does not know the new application everywhere yet; this takes up to a minute."
STILL_SHOWN = "Azure still shows a secret that it no longer knows; this takes up to a minute."


def busy(error: Exception) -> Delay | None:
    if not isinstance(error, AzureApiError) or not error.busy:
        return None
    return Delay(_BUSY, _BUSY_SECONDS, error.retry_after)


def busy_or_spreading(error: Exception) -> Delay | None:
    if isinstance(error, AzureApiError) and error.missing:
        return Delay(SPREADING, SPREADING_SECONDS)
    return busy(error)


def not_shown_yet(error: Exception) -> Delay | None:
    """Why to try again: the SDK reads what it has made, and takes for a failure that this is not shown
    yet.
    """
    if isinstance(error, AzureApiError) and error.missing:
        return Delay("Azure does not show everywhere yet what was just created.", SPREADING_SECONDS)
    return busy(error)
