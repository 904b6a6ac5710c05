"""The steps done by hand: bash and curl, with every secret kept out of arguments and files."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

from bootstrap.model.settings import connect_to
from bootstrap.plugin.step import Script
from providers.harbor.api import PULL
from providers.harbor.connection import API
from providers.harbor.names import NAME_MARK, parts_of
from providers.harbor.target import LINKS, HarborTarget

_JSON = "--header 'Content-Type: application/json'"
_LOGIN = r"""
# The value of a field in an answer of one line of JSON.
field() { sed -n "s/.*\"$1\" *: *\"\{0,1\}\([^\",}]*\).*/\1/p"; }
# The password is in no argument of any program.
log_in_to_harbor() {
  if [ -n "${HARBOR_LOGIN:-}" ]; then return; fi
  read -rsp "The password of $HARBOR_USER at $REGISTRY: " HARBOR_LOGIN; echo
  HARBOR_LOGIN=${HARBOR_LOGIN//\\/\\\\}
  HARBOR_LOGIN=${HARBOR_LOGIN//\"/\\\"}
  [ -n "$HARBOR_LOGIN" ]
}
harbor() {
  local method=$1 path=$2
  shift 2
  CURL --request "$method" JSON_HEADER \
    --config <(printf 'user = "%s:%s"\n' "$HARBOR_USER" "$HARBOR_LOGIN") "$@" "$HARBOR$path"
}
""".strip()
_RUN = "RUN=\"$(od -An -N6 -tx1 /dev/urandom | tr -d ' \\n')\""
_BODY = (
    '\'{"name":"%s","level":"%s","duration":%s,"description":"Pulls images for Akka.","permissions":%s}\' '
    f'"{NAME_MARK}$RUN" "$LEVEL" "$DAYS" "$PERMISSIONS"'
)


def _curl(target: HarborTarget) -> str:
    address = connect_to(target.domain)
    port = target.host.partition(":")[2] or "443"
    via = f" --connect-to {target.domain}:{port}:{address[0]}:{address[1]}" if address else ""
    return f"curl --silent --show-error --fail{via}"


def _field(name: str) -> str:
    """A filter that reads the value of a field from an answer of one line of JSON."""
    return rf"""sed -n 's/.*"{name}" *: *"\{{0,1\}}\([^",}}]*\).*/\1/p'"""


def delete_command(target: HarborTarget, key_id: str) -> str:
    """The command that deletes a robot account, which prompts for the password. The argument is a key id, or
    the name of an account whose number is not known: then it has to be looked up in Harbor's pages.
    """
    parts = parts_of(key_id)
    if parts is None:
        which = f" {key_id}" if key_id else ""
        return f"# Delete the robot account{which} at https://{target.host} (Robot Accounts)."
    user = shlex.quote(target.user or "USER")
    return f"{_curl(target)} --user {user} --request DELETE https://{target.host}{API}/robots/{parts[0]}"


def variables(target: HarborTarget) -> Mapping[str, str]:
    """The variables that the scripts use, quoted."""
    permissions = [
        {"kind": "project", "namespace": name, "access": [dict(one) for one in PULL]}
        for name in target.projects
    ]
    named = {
        "REGISTRY": target.host,
        "SERVER": target.server,
        "HARBOR": f"https://{target.host}{API}",
        "HARBOR_USER": target.user,
        "LEVEL": target.level,
        "DAYS": str(target.days),
        "PERMISSIONS": json.dumps(permissions, separators=(",", ":")),
    }
    return {name: shlex.quote(value) for name, value in named.items()}


def credential(target: HarborTarget) -> Mapping[str, str]:
    return {
        "server": '"$SERVER"',
        "registry": '"$REGISTRY"',
        "username": '"$ROBOT"',
        "email": f'"{LINKS[target.level]}+$KEY_ID@{target.domain}"',
        "password": '"$SECRET"',
    }


def preamble(target: HarborTarget) -> str:
    """What the creation needs, and its undo."""
    return _LOGIN.replace("CURL", _curl(target)).replace("JSON_HEADER", _JSON)


def _reads(command: str) -> str:
    """Commands that take user name, secret and key id from the answer."""
    by = {name: command.replace("{}", name) for name in ("name", "secret", "id")}
    return (
        f'ROBOT="$(printf %s "$CREATED" | {by["name"]})"\n'
        f'SECRET="$(printf %s "$CREATED" | {by["secret"]})"\n'
        f'KEY_ID="robot-$(printf %s "$CREATED" | {by["id"]})-$RUN"\n'
        "unset CREATED"
    )


def creation(target: HarborTarget) -> Script:
    by_function, by_sed = _reads("field {}"), _reads(_field("{}"))
    return Script(
        do=(
            "log_in_to_harbor\n"
            f"{_RUN}\n"
            f'CREATED="$(printf {_BODY} | harbor POST /robots --data-binary @-)"\n'
            f"{by_function}\n"
            'echo "The robot account is $ROBOT"'
        ),
        check='[ -n "$ROBOT" ] && [ -n "$SECRET" ]',
        undo=(
            'if [ -n "${KEY_ID:-}" ]; then ROBOT_ID=${KEY_ID#robot-}; log_in_to_harbor && '
            'harbor DELETE "/robots/${ROBOT_ID%%-*}"; '
            f"else echo {shlex.quote('Delete the robot account at https://' + target.host)}; fi"
        ),
        typed=(
            "# The password of this user, which is not shown:\n"
            "IFS= read -rs HARBOR_PASSWORD\n"
            "HARBOR_PASSWORD=${HARBOR_PASSWORD//\\\\/\\\\\\\\}\n"
            'HARBOR_PASSWORD=${HARBOR_PASSWORD//\\"/\\\\\\"}\n'
            f"{_RUN}\n"
            f'CREATED="$(printf {_BODY} |\n'
            f"  {_curl(target)} {_JSON} "
            '--config <(printf \'user = "%s:%s"\\n\' "$HARBOR_USER" "$HARBOR_PASSWORD") --data-binary '
            '@- "$HARBOR/robots")"\n'
            f"{by_sed}"
        ),
        why="The password is of an administrator of the project; it is not shown while you type it.",
    )
