"""The tenses of a step's title: "Create X", "Creating X", "Created X".

Every title begins with one of these verbs, so that one title serves plan, progress and result.
"""

from __future__ import annotations

from bootstrap.model.text import capitalised

_VERBS = {
    "Add": ("Adding", "Added"),
    "Check": ("Checking", "Checked"),
    "Create": ("Creating", "Created"),
    "Delete": ("Deleting", "Deleted"),
    "Disable": ("Disabling", "Disabled"),
    "Enable": ("Enabling", "Enabled"),
    "Generate": ("Generating", "Generated"),
    "Grant": ("Granting", "Granted"),
    "Leave": ("Leaving", "Left"),
    "Register": ("Registering", "Registered"),
    "Remove": ("Removing", "Removed"),
    "Restore": ("Restoring", "Restored"),
    "Revoke": ("Revoking", "Revoked"),
    "Upload": ("Uploading", "Uploaded"),
    "Use": ("Using", "Used"),
    "Verify": ("Verifying", "Verified"),
}
VERBS = frozenset(_VERBS)
_ENDING = frozenset({"Delete", "Disable", "Remove", "Revoke"})


def doing(title: str) -> str:
    """The title while the step is in progress.

    >>> doing("Create service account reader@acme")
    'Creating service account reader@acme'
    """
    verb, rest = _split(title)
    return f"{_VERBS[verb][0]} {rest}" if verb else title


def done(title: str) -> str:
    """The title once the step is done.

    >>> done("Disable the key that Akka held")
    'Disabled the key that Akka held'
    """
    verb, rest = _split(title)
    return f"{_VERBS[verb][1]} {rest}" if verb else title


def thing(title: str) -> str:
    """The object that the step creates.

    >>> thing("Create the token akka in the registry acme")
    'Token akka in the registry acme'
    """
    verb, rest = _split(title)
    if not verb:
        return title
    rest = rest.partition(" ")[2] if rest.partition(" ")[0] in ("a", "an", "the") else rest
    return capitalised(rest)


def takes_away(title: str) -> bool:
    """Whether the step removes or disables something."""
    return _split(title)[0] in _ENDING


def _split(title: str) -> tuple[str, str]:
    verb, _, rest = title.partition(" ")
    return (verb, rest) if verb in _VERBS else ("", title)
