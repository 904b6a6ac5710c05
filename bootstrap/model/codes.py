"""The stable code of each problem and error, used in text, JSON, runbooks and the documentation.

A code names a kind of situation, not a sentence: something to search for, or to branch on in a script. It is
chosen where the situation is recognised. `codes.toml` explains each code. A code is never removed, and its
meaning never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import cache


class Code(StrEnum):
    """A code; its text is `PK-` and its name, as in PK-IMAGE-NOT-FOUND."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[str]) -> str:  # noqa: ARG004
        return f"PK-{name.replace('_', '-')}"

    # Logins and permissions
    LOGIN_MISSING = auto()
    LOGIN_REFUSED = auto()
    IMPERSONATION_DENIED = auto()
    MISSING_PERMISSION = auto()
    HUB_LOGIN_MISSING = auto()
    HUB_LOGIN_REFUSED = auto()
    HUB_TOKEN_LOGIN = auto()
    GITLAB_LOGIN_MISSING = auto()
    GITLAB_LOGIN_REFUSED = auto()
    GITLAB_TOKEN_SCOPE = auto()
    HARBOR_LOGIN_MISSING = auto()
    HARBOR_LOGIN_REFUSED = auto()

    # Cloud resources
    PROJECT_NOT_FOUND = auto()
    PROJECT_INACTIVE = auto()
    API_DISABLED = auto()
    REPOSITORY_NOT_FOUND = auto()
    REPOSITORY_FORMAT = auto()
    REPOSITORY_NOT_MIGRATED = auto()
    REGISTRY_NOT_FOUND = auto()
    REGISTRY_AMBIGUOUS = auto()
    REGISTRY_NETWORK = auto()
    LOGIN_SERVER = auto()
    SUBSCRIPTION_NOT_FOUND = auto()
    ORGANIZATION_NOT_FOUND = auto()
    GITLAB_PROJECT_NOT_FOUND = auto()
    GITLAB_PROJECT_MOVED = auto()
    GITLAB_REGISTRY_OFF = auto()
    GITLAB_HOST = auto()
    HARBOR_PROJECT_NOT_FOUND = auto()
    HARBOR_UNSUITABLE = auto()
    HARBOR_READ_ONLY = auto()
    IDENTITY_NOT_FOUND = auto()
    IDENTITY_DISABLED = auto()
    IDENTITY_DELETED = auto()
    IDENTITY_ELSEWHERE = auto()
    IDENTITY_NAME_TAKEN = auto()
    NAME_IN_DELETED_ITEMS = auto()
    SERVICE_PRINCIPAL_MISSING = auto()
    SCOPE_UNKNOWN = auto()

    # Keys
    KEYS_FORBIDDEN = auto()
    KEY_LIFETIME = auto()
    EXPIRY_MAXIMUM = auto()
    KEY_LIMIT = auto()
    KEY_DELETED = auto()
    KEY_NOT_VISIBLE = auto()
    KEY_NOT_REVOCABLE = auto()
    TOKEN_PASSWORDS_IN_USE = auto()
    NOTHING_TO_RESTORE = auto()

    # Answers of the clouds
    CLOUD_REFUSED = auto()
    CLOUD_UNAVAILABLE = auto()
    CLOUD_RATE_LIMITED = auto()
    CLOUD_LAG = auto()
    OUTCOME_UNKNOWN = auto()
    CONCURRENT_CHANGE = auto()

    # Registry and image
    IMAGE_NOT_FOUND = auto()
    PASSWORD_REFUSED = auto()
    PULL_DENIED = auto()
    REGISTRY_FIREWALL = auto()
    REGISTRY_RATE_LIMITED = auto()
    REGISTRY_UNREACHABLE = auto()
    REGISTRY_CERTIFICATE = auto()
    REGISTRY_REFUSED = auto()
    REGISTRY_ANSWER = auto()
    TOKEN_HOST = auto()
    REGISTRY_UNSUITABLE = auto()

    # Akka
    AKKA_CLI_MISSING = auto()
    AKKA_CLI_OLD = auto()
    AKKA_LOGIN_MISSING = auto()
    AKKA_PROJECT_NOT_FOUND = auto()
    AKKA_FAILED = auto()
    AKKA_REFUSED = auto()
    AKKA_TIMEOUT = auto()
    AKKA_OUTPUT = auto()
    AKKA_RECORD_DIFFERS = auto()
    AKKA_SERVICE_NOT_FOUND = auto()
    CREDENTIAL_NOT_FOUND = auto()
    CREDENTIAL_OTHER_REGISTRY = auto()
    CREDENTIAL_NOT_MANAGED = auto()
    CREDENTIAL_AMBIGUOUS = auto()
    CREDENTIAL_UNREADABLE = auto()

    # Runs
    PREFLIGHT_FAILED = auto()
    SETUP = auto()
    POLICY = auto()
    LIMIT = auto()
    QUESTION = auto()
    STEP_FAILED = auto()
    TIMEOUT = auto()
    LEFT_OVER = auto()
    RUN_BUSY = auto()
    RUN_UNFINISHED = auto()
    RACE_LOST = auto()
    PLAN_STALE = auto()
    NOT_TRIED = auto()
    INTERRUPTED = auto()
    CANCELLED = auto()
    UNEXPECTED = auto()

    # This machine
    STATE_DIR_UNTRUSTED = auto()
    STATE_DIR_UNWRITABLE = auto()
    JOURNAL_UNREADABLE = auto()
    JOURNAL_FOREIGN = auto()
    OUTPUT_FILE = auto()
    OUTPUT_LOST = auto()
    EXTRA_MISSING = auto()
    UNSUPPORTED_SYSTEM = auto()
    PROVIDER_UNKNOWN = auto()
    PROVIDER_BROKEN = auto()
    PROVIDER_CONTRACT = auto()
    SETTING = auto()
    SANDBOX = auto()

    # Command line and files
    USAGE = auto()
    UNKNOWN_COMMAND = auto()
    UNKNOWN_OPTION = auto()
    UNKNOWN_CODE = auto()
    BAD_VALUE = auto()
    MISSING_VALUE = auto()
    OPTIONS_CONFLICT = auto()
    LOGIN_IN_ADDRESS = auto()
    NO_TERMINAL = auto()
    SECRET_MISSING = auto()
    SECRET_MALFORMED = auto()
    SECRET_SHORT_LIVED = auto()
    HOST_UNKNOWN = auto()
    HOST_AMBIGUOUS = auto()
    FILE_INVALID = auto()
    FILE_UNREADABLE = auto()
    TARGET_UNKNOWN = auto()
    PLAN_FILE = auto()
    SECRET_SOURCE = auto()


class Who(StrEnum):
    """Who can fix a problem."""

    YOU = "you"
    CLOUD_ADMIN = "cloud-admin"
    REGISTRY_OWNER = "registry-owner"
    AKKA_ADMIN = "akka-admin"
    PULLKEY = "pullkey"
    NOBODY = "nobody"

    @property
    def text(self) -> str:
        return _WHO[self]


_WHO = {
    Who.YOU: "you",
    Who.CLOUD_ADMIN: "your cloud administrator",
    Who.REGISTRY_OWNER: "the owner of the registry",
    Who.AKKA_ADMIN: "an administrator of the Akka project",
    Who.PULLKEY: "the pullkey project: report it",
    Who.NOBODY: "no one: wait, then run it again",
}


@dataclass(frozen=True)
class Explanation:
    """What a code means.

    Args:
        area: the heading of its group in the documentation.
        who: who can fix it, in the order in which to ask.
    """

    code: Code
    area: str
    title: str
    cause: str
    fix: str
    who: tuple[Who, ...]

    @property
    def who_text(self) -> str:
        return ", or ".join(one.text for one in self.who)


@cache
def explanations() -> Mapping[Code, Explanation]:
    """The explanation of each code, in the order of the documentation."""
    import tomllib  # late: a successful command does not need it
    from importlib.resources import files

    areas = tomllib.loads(files("bootstrap.model").joinpath("codes.toml").read_text(encoding="utf-8"))
    return {
        Code(name): Explanation(
            Code(name), area["about"], one["title"], one["cause"], one["fix"], tuple(map(Who, one["who"]))
        )
        for area in areas.values()
        for name, one in area.items()
        if name != "about"
    }


def find(typed: str) -> Explanation | None:
    """The explanation of a code as users type it: upper or lower case, with or without `PK-` or brackets."""
    name = typed.strip("[]").upper().replace("_", "-")
    return next(
        (one for code, one in explanations().items() if name in (code, code.removeprefix("PK-"))), None
    )
