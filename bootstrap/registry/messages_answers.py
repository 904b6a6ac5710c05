"""The outcome of one exchange, by what the registry answered: each pull and each failure."""

from __future__ import annotations

from bootstrap.http.bounds import Unreadable
from bootstrap.model.pull import Probe, PullAttempt, Verdict

# -- the first answer ----------------------------------------------------------------------------------------


def web_page_at_the_api(host: str) -> PullAttempt:
    return PullAttempt(Verdict.INVALID, f"{host}/v2/ is a web page, not a registry")


def api_redirects_elsewhere(host: str) -> PullAttempt:
    return PullAttempt(Verdict.REJECTED, f"{host}/v2/ leads to another place, as no registry's does")


def unexpected_first_status(host: str, status: int) -> PullAttempt:
    return PullAttempt(Verdict.REJECTED, f"{host}/v2/ answers {status}, not as a registry does")


def challenge_too_long(host: str) -> PullAttempt:
    return PullAttempt(Verdict.REJECTED, f"{host} asks for a credential at greater length than any registry")


def no_challenge(host: str, status: int) -> PullAttempt:
    return PullAttempt(
        Verdict.REJECTED,
        f"{host} answers {status} without asking for a password or a token, as a registry does",
    )


def forbidden_before_login(host: str, error_text: str) -> PullAttempt:
    return PullAttempt(Verdict.FORBIDDEN, f"{host} answers 403 {error_text}".rstrip())


# -- any answer ----------------------------------------------------------------------------------------------


def network_refused(error_text: str) -> PullAttempt:
    """A firewall of the registry, in its own words."""
    return PullAttempt(Verdict.NETWORK_REFUSED, error_text)


def rate_limited(host: str, status: int, error_text: str, retry_after: float | None) -> PullAttempt:
    return PullAttempt(
        Verdict.RATE_LIMITED, f"{host} answers {status} {error_text}".rstrip(), retry_after=retry_after
    )


def address_banned(host: str, error_text: str) -> PullAttempt:
    """GitLab.com bans for 15 minutes, other instances for an hour by default (gitlabhq/gitlabhq,
    doc/user/gitlab_com/_index.md, doc/security/rate_limits.md).
    """
    return PullAttempt(
        Verdict.RATE_LIMITED,
        f"{host} answers 403 {error_text}",
        "Logins from this address are refused for a while, valid ones too: 15 minutes at GitLab.com, "
        "an hour by default elsewhere. Stop what logs in from here with a wrong password, and run it again "
        "later. --no-wait registers the credential without trying it.",
    )


def server_error(host: str, status: int, error_text: str, retry_after: float | None) -> PullAttempt:
    """A failure of the server's own, which may pass by itself."""
    return PullAttempt(
        Verdict.UNREACHABLE, f"{host} answers {status} {error_text}".rstrip(), retry_after=retry_after
    )


def unexpected_status(host: str, status: int, error_text: str) -> PullAttempt:
    return PullAttempt(Verdict.REJECTED, f"{host} answers {status} {error_text}".rstrip())


def unreadable_answer(host: str, error: Unreadable) -> PullAttempt:
    return PullAttempt(Verdict.INVALID, f"the answer of {host} cannot be used: {error}")


# -- the token -----------------------------------------------------------------------------------------------


def unreadable_token_answer(host: str, error: Unreadable) -> PullAttempt:
    return PullAttempt(Verdict.INVALID, f"the answer of the token service {host} cannot be used: {error}")


def no_valid_token() -> PullAttempt:
    # The token is not shown: it may be a valid one with a blank too many.
    return PullAttempt(Verdict.INVALID, "the token service's answer holds no valid token")


def unexpected_token_status(host: str, status: int, error_text: str) -> PullAttempt:
    return PullAttempt(Verdict.REJECTED, f"the token service {host} answers {status} {error_text}".rstrip())


def login_refused(error_text: str, *, identity: bool) -> PullAttempt:
    """401 or 403 after a credential was sent.

    Args:
        error_text: the registry's own error text.
        identity: whether the login itself is refused, rather than this repository.
    """
    return PullAttempt(Verdict.IDENTITY_REFUSED if identity else Verdict.NO_GRANT, error_text)


def not_sent(host: str) -> PullAttempt:
    """It asks for a login that is for one token service only."""
    return PullAttempt(Verdict.UNTRUSTED, f"{host} asks for a login that is not for it")


def password_refused(host: str) -> PullAttempt:
    return PullAttempt(Verdict.IDENTITY_REFUSED, f"{host} refuses user name and password")


def wrong_password_or_no_permission(host: str) -> str:
    """The fix where a registry answers alike to a wrong password and to a missing permission."""
    return (
        f"{host} accepts any login, so this may be a wrong password or a missing permission: "
        "check user name and password, and that this user may pull the image."
    )


# -- the manifest --------------------------------------------------------------------------------------------


def manifest_redirects_nowhere(host: str) -> PullAttempt:
    return PullAttempt(Verdict.REJECTED, f"{host} answers with a redirect that leads to no manifest")


def web_page_for_a_manifest(host: str) -> PullAttempt:
    return PullAttempt(Verdict.INVALID, f"{host} answers with a web page, not as a registry does")


def not_a_manifest(host: str, status: int) -> PullAttempt:
    return PullAttempt(Verdict.INVALID, f"{host} answers {status}, and not with a manifest")


def has_any_image(host: str) -> PullAttempt:
    """It answered with a manifest for a tag that cannot exist."""
    return PullAttempt(Verdict.INVALID, f"{host} claims to have an image with a random name")


def image_not_found(probe: Probe) -> PullAttempt:
    return PullAttempt(Verdict.NOT_FOUND, f"{probe.host} has no {probe.image}")


def upstream_refuses(probe: Probe, error_text: str) -> PullAttempt:
    """The registry behind a remote repository refuses the image that was named."""
    return PullAttempt(
        Verdict.REJECTED,
        f"{probe.host} could not fetch {probe.image}: {error_text}",
        "The registry behind the repository refuses it. Check the image's name, and the login "
        "for that registry in the repository's settings.",
    )


# -- it pulls ------------------------------------------------------------------------------------------------


def reads_manifest(probe: Probe) -> PullAttempt:
    return PullAttempt(Verdict.PULLS, f"reads the manifest of {probe.host}/{probe.image}")


def reads_manifest_without_login(probe: Probe) -> PullAttempt:
    return PullAttempt(
        Verdict.PULLS,
        f"reads the manifest of {probe.host}/{probe.image}, as anyone can: no credential was asked for",
        pulled=False,
    )


def may_pull(probe: Probe) -> PullAttempt:
    return PullAttempt(Verdict.PULLS, f"may pull {probe.host}/{probe.repository}")


def not_tried(host: str) -> PullAttempt:
    return PullAttempt(Verdict.PULLS, f"was not tried: {host} asks for no credential", pulled=False)


def accepted_without_image(host: str) -> PullAttempt:
    return PullAttempt(
        Verdict.PULLS, f"is accepted by {host}; no image was named to try a pull of", pulled=False
    )


def accepted_without_repository(probe: Probe) -> PullAttempt:
    return PullAttempt(
        Verdict.PULLS,
        f"is accepted by {probe.host}, which has no {probe.repository} to try a pull of",
        pulled=False,
    )


def accepted_where_anyone_pulls(host: str, what: str) -> PullAttempt:
    return PullAttempt(Verdict.PULLS, f"is accepted by {host}, where anyone gets {what}", pulled=False)


def not_verifiable_where_anyone_pulls(host: str, what: str) -> PullAttempt:
    return PullAttempt(
        Verdict.PULLS,
        f"could not be verified: {host} gives {what} without a password too",
        "Name an image with --image that cannot be pulled anonymously.",
        pulled=False,
    )


def given_to_anyone(probe: Probe) -> str:
    return f"{probe.host} gives {probe.image} to anyone"
