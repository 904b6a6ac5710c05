"""The steps as typed by hand: bash and curl, with every secret kept out of arguments and files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from urllib.parse import quote

from bootstrap.model import clock
from bootstrap.plugin.step import Script
from providers.gitlab.address import SAAS, SAAS_REGISTRY, host_of_instance, url_of_calls
from providers.gitlab.target import KEY, GitlabTarget, number_of_key

_HEADER = "--header @<(printf 'PRIVATE-TOKEN: %s\\n' \"$GITLAB_TOKEN\")"
_NUMBER = r"""sed -n 's/^[^"]*"id" *: *\([0-9]*\).*/\1/p'"""
_PREAMBLE = r"""
# The number that an answer of one line of JSON begins with, and the value of a text in it.
number() { sed -n 's/^[^"]*"id" *: *\([0-9]*\).*/\1/p'; }
field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
# The access token is in no argument of any program.
log_in_to_gitlab() {
  if [ -n "${GITLAB_TOKEN:-}" ]; then return; fi
  read -rsp "A GitLab access token with the scope api: " GITLAB_TOKEN; echo
  [ -n "$GITLAB_TOKEN" ]
}
gitlab() {
  local method=$1 path=$2
  shift 2
  curl --silent --show-error --fail --request "$method" --header 'Content-Type: application/json' \
    --header @<(printf 'PRIVATE-TOKEN: %s\n' "$GITLAB_TOKEN") "$@" "$GITLAB/api/v4/$path"
}
""".strip()


def instance(target: GitlabTarget) -> str:
    """The URL of the instance, as far as it is known without a call."""
    if target.seen.get("url") or target.gitlab:
        return target.seen.get("url") or target.gitlab
    if target.host == SAAS_REGISTRY:
        return SAAS
    return f"https://{target.allowed_host or target.host.partition(':')[0]}"


def delete_command(target: GitlabTarget, key_id: str, *, name: str = "") -> str:
    """The command that deletes a deploy token; if the token is unknown, a comment with its page."""
    token, number = number_of_key(key_id), target.namespace_number
    url = instance(target)
    if token is not None and number:
        return (
            f"curl --fail --request DELETE {_HEADER} "
            f"{shlex.quote(f'{url_of_calls(url)}/api/v4/{target.kind}s/{number}/deploy_tokens/{token}')}"
        )
    which = f" {key_id}" if key_id else f' named "{name}"' if name else ""
    path = target.namespace_path or "PROJECT"
    page = f"groups/{path}" if target.kind == "group" else path
    return f"# Delete the deploy token{which} at {url}/{page}/-/settings/repository (Deploy tokens)."


def variables(target: GitlabTarget) -> Mapping[str, str]:
    """The variables that the scripts use, quoted."""
    url, named = instance(target), {"SERVER": target.server, "REGISTRY": target.host}
    named["GITLAB"] = url_of_calls(url)
    named["MAIL_DOMAIN"] = host_of_instance(url)
    named["EXPIRES_AT"] = f"{clock.now() + target.expires_in:%Y-%m-%dT%H:%M:%SZ}"
    if _is_known(target):
        named["NAMESPACE"] = f"{target.kind}s/{_reference(target)}"
    else:
        named["REPOSITORY"] = target.repository
    return {name: shlex.quote(value) for name, value in named.items()}


def _is_known(target: GitlabTarget) -> bool:
    return bool(target.namespace_path or target.namespace_number)


def _reference(target: GitlabTarget) -> str:
    return str(target.namespace_number or "") or quote(target.namespace_path, safe="")


def credential(target: GitlabTarget) -> Mapping[str, str]:
    return {
        "server": '"$SERVER"',
        "username": '"$PULLER"',
        "email": f'"gitlab-{target.kind}-$NUMBER+$KEY_ID@$MAIL_DOMAIN"',
        "password": '"$TOKEN"',
        "registry": '"$REGISTRY"',
    }


def preamble(target: GitlabTarget) -> str:
    """What the step that creates a token needs, and its undo."""
    lines = _whose(target, 'gitlab GET "{path}"', "number").splitlines()
    found = "\n".join(f"  {line}" for line in lines)
    return f"{_PREAMBLE}\nfind_{target.kind}() {{\n{found}\n}}"


def created(target: GitlabTarget) -> Script:
    role = "Owner of the group" if target.kind == "group" else "Maintainer of the project"
    tokens = f"{target.kind}s/$NUMBER/deploy_tokens"
    by_curl = _whose(target, f'{_CURL} "$GITLAB/api/v4/{{path}}"', _NUMBER)
    return Script(
        do=(
            "log_in_to_gitlab\n"
            f"find_{target.kind}\n"
            f'MADE="$(printf {_body("runbook")} | gitlab POST "{tokens}" --data-binary @-)"\n'
            f'KEY_ID="{KEY}$(printf %s "$MADE" | number)"\n'
            'PULLER="$(printf %s "$MADE" | field username)"\n'
            'TOKEN="$(printf %s "$MADE" | field token)"\n'
            "unset MADE\n"
            'echo "The deploy token is $KEY_ID, of the user $PULLER"'
        ),
        check='[ -n "$TOKEN" ] && [ -n "$PULLER" ]',
        undo=(
            f'if [ -n "${{KEY_ID:-}}" ]; then log_in_to_gitlab && find_{target.kind} && '
            f'gitlab DELETE "{tokens}/${{KEY_ID#{KEY}}}"; '
            f"else echo {shlex.quote(delete_command(target, '').removeprefix('# '))}; fi"
        ),
        typed=(
            "# A GitLab access token with the scope api, which is not shown:\n"
            "IFS= read -rs GITLAB_TOKEN\n"
            f"{by_curl}\n"
            f'MADE="$(printf {_body("by-hand")} |\n'
            f"  {_CURL} --header 'Content-Type: application/json' --data-binary @- "
            f'"$GITLAB/api/v4/{tokens}")"\n'
            f'KEY_ID="{KEY}$(printf %s "$MADE" | {_NUMBER})"\n'
            f'PULLER="$(printf %s "$MADE" | {_field("username")})"\n'
            f'TOKEN="$(printf %s "$MADE" | {_field("token")})"'
        ),
        why=f"It takes an access token with the scope api, of a user with the role {role}.",
    )


_CURL = f"curl --silent --show-error --fail {_HEADER}"


def _body(whose: str) -> str:
    """The arguments of `printf` that print the body of the call."""
    name = f"pullkey {whose} $(date -u +%Y-%m-%dT%H:%M:%SZ): Akka pulls with it"
    return f''''{{"name":"%s","scopes":["read_registry"],"expires_at":"%s"}}' "{name}" "$EXPIRES_AT"'''


def _field(name: str) -> str:
    """A filter that reads the value of a text field from an answer of one line of JSON."""
    return rf"""sed -n 's/.*"{name}" *: *"\([^"]*\)".*/\1/p'"""


def _whose(target: GitlabTarget, get: str, number: str) -> str:
    """Set NUMBER to the number of the project or group.

    Args:
        target: the project or group, or an image of a project.
        get: the command that prints the answer at `{path}` of the API.
        number: the command that reads its number.
    """
    if _is_known(target):
        return f'NUMBER="$({get.replace("{path}", "$NAMESPACE")} | {number})"'
    asked = get.replace("{path}", "projects/${NAMESPACE//\\//%2F}")
    return (
        "# The project is the longest beginning of the image's name that GitLab knows.\n"
        "NAMESPACE=$REPOSITORY\n"
        f'until WHOSE="$({asked} 2>/dev/null)"; do\n'
        '  [[ $NAMESPACE == */*/* ]] || { echo "GitLab shows no project of $REPOSITORY" >&2; break; }\n'
        "  NAMESPACE=${NAMESPACE%/*}\n"
        "done\n"
        f'NUMBER="$(printf %s "$WHOSE" | {number})"\n'
        '[ -n "$NUMBER" ]'
    )
