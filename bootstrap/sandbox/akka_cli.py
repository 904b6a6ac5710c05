"""The program of the sandbox's `akka` executable.

It implements the documented commands and flags and formats answers as text or JSON. The state is in
`AkkaEmulator`, which it calls over loopback. Like the Go program that it emulates, it must start in some 10
ms: the longer tests start it thousands of times. So it is one file, compiled in advance, uses the standard
library only, runs as `python -I -S`, exchanges `marshal` data with the emulator, and imports the C parts of
`json`, `signal` and `socket`: the Python parts, and what they import (`enum`, `re`), would take longer than
everything else.

Commands and flags are those of the generated reference of CLI 3.0.71 (akka-sdk,
`docs/src/modules/reference/pages/cli/akka-cli`). The JSON of `akka docker`, `akka secrets` and `akka
projects`, the values of `STATUS`, the layout of `--all-regions` and the texts of success are not published:
they are assumptions of this sandbox, and nothing should depend on them.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has `signal` only
import _socket
import marshal
import os
import sys
import time
from _json import encode_basestring_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Literal, NoReturn

OLD_VERSION = "3.0.3"
"""The last CLI before 3.0.4 changed the registry commands (release notes: "Changed Docker credentials
commands").
"""
MARSHALLED = "application/x-python-marshal"
"""The content type of calls and answers. An answer with another type comes from a fault."""

if TYPE_CHECKING:
    Answer = dict[str, Any]
    Values = dict[str, Any]


class CliError(Exception):
    """Ends the program with `Error: TEXT` on stderr and status 1."""

    def __init__(self, text: str, *, usage_of: str = "") -> None:
        super().__init__(text)
        self.usage_of = usage_of


# -- commands and flags --------------------------------------------------------------------------------------


class Flag:
    """One flag. A `strings` flag may be repeated."""

    def __init__(
        self,
        name: str,
        kind: Literal["string", "bool", "strings"] = "string",
        *,
        default: str | bool | None = None,
        short: str = "",
        meaning: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.default = default
        self.short = short
        self.meaning = meaning


class Command:
    """One command.

    Attributes:
        method: its name in the sandbox's call log and faults.
        flags: its own flags, in addition to the global ones.
        arguments: the positional arguments; those in brackets are optional.
        render: formats the answer as text. JSON output is available only if `structured`.
        doing: the text before the server's error, as in `Error: DOING: rpc error: ...`.
    """

    def __init__(
        self,
        method: str,
        render: Callable[[Answer, Values], str],
        flags: tuple[Flag, ...] = (),
        arguments: tuple[str, ...] = (),
        *,
        structured: bool = False,
        doing: str = "",
        check: Callable[[Values, Sequence[str]], None] | None = None,
    ) -> None:
        self.method = method
        self.render = render
        self.flags = flags
        self.arguments = arguments
        self.structured = structured
        self.doing = doing
        self.check = check


GLOBAL_FLAGS = (
    Flag("cache-file", default="~/.akka/cache.yaml", meaning="location of cache file"),
    Flag("config", default="~/.akka/config.yaml", meaning="location of config file"),
    Flag("context", default="", meaning="configuration context to use"),
    Flag("disable-prompt", "bool", default=False, meaning="disable all interactive prompts"),
    Flag("help", "bool", default=False, short="h", meaning="help for this command"),
    Flag("output", default="text", short="o", meaning="text, json, json-compact or go-template=..."),
    Flag("page-mode", default="auto", meaning="paged, buffered or auto"),
    Flag("quiet", "bool", default=False, short="q", meaning="quiet output, for scripts"),
    Flag("timeout", default="10s", meaning="client command timeout"),
    Flag("use-grpc-web", "bool", default=False, meaning="use grpc-web"),
    Flag("verbose", "bool", default=False, meaning="verbose output"),
)
OLD_GLOBAL_FLAGS = (
    *(flag for flag in GLOBAL_FLAGS if flag.name not in ("page-mode", "verbose")),
    # `-v` became `--version` on 2026-04-01.
    Flag("verbose", "bool", default=False, short="v", meaning="verbose output"),
)
ROOT_FLAGS = (Flag("version", "bool", default=False, short="v", meaning="version for akka"),)

_PROJECT = (Flag("project", meaning="project to use"), Flag("owner", meaning="owner of the project"))
_REGION = Flag("region", meaning="region to use, if the project has more than one")
_ALL_REGIONS = Flag("all-regions", "bool", default=False, meaning="run on all regions")
_FORCE = (
    Flag("force-global", "bool", default=False, meaning="make an existing regional resource a global one"),
    Flag("force-regional", "bool", default=False, meaning="make an existing global resource a regional one"),
)
_READ = (*_PROJECT, _REGION, _ALL_REGIONS)
_WRITE = (*_PROJECT, _REGION, *_FORCE)
_CREDENTIAL = (
    Flag("docker-server", meaning="registry server, e.g. https://mydockerregistry.com"),
    Flag("docker-username", meaning="registry username"),
    Flag("docker-email", meaning="registry email"),
    Flag("docker-password", meaning="registry password"),
)


def _done(answer: Answer, _: Values) -> str:
    return str(answer["message"])


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Format columns padded with spaces, at least two between them, as in the guides."""
    cells = [list(columns), *([_cell(row.get(name.lower(), "")) for name in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
    )
    return "\n".join(line.rstrip() for line in padded)


def _cell(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _regional(values: Values) -> Sequence[str]:
    return ("REGION", "SYNC") if values.get("all-regions") else ()


def _lists(answer: Answer, values: Values) -> bool:
    """Whether an answer is a list: of a list command, or of one object in all regions."""
    return "items" in answer and bool("item" not in answer or values.get("all-regions"))


def _items(answer: Answer, values: Values) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = answer["items"] if _lists(answer, values) else [answer["item"]]
    return rows


def _credentials(answer: Answer, values: Values) -> str:
    # Guide "Configure an external container registry"; the two last columns are an assumption.
    return _table(("NAME", "STATUS", "SERVER", "EMAIL", "USERNAME", *_regional(values)), answer["items"])


def _old_credentials(answer: Answer, _: Values) -> str:
    return _table(
        ("ID", "SERVER", "USERNAME", "EMAIL"), [{**row, "id": row["name"]} for row in answer["items"]]
    )


def _secrets(answer: Answer, values: Values) -> str:
    return _table(("NAME", "TYPE", "KEYS", *_regional(values)), _items(answer, values))


def _projects(answer: Answer, _: Values) -> str:
    rows = [
        {
            "": "*" if item["name"] == answer["current"] else "",
            "name": item["friendly_name"],
            "description": item["description"],
            "id": item["name"].removeprefix("projects/"),
            "owner": item["owner"]["friendly_name"],
            "region": [region["name"].rpartition("/")[2] for region in item["regions"]],
        }
        for item in answer["items"]
    ]
    return _table(("", "NAME", "DESCRIPTION", "ID", "OWNER", "REGION"), rows)


def _project(answer: Answer, _: Values) -> str:
    item = answer["item"]
    lines = [
        f"Name:         {item['friendly_name']}",
        f"Description:  {item['description']}",
        f"ID:           {item['name'].removeprefix('projects/')}",
        f"Owner:        {item['owner']['friendly_name']}",
        "Regions:",
    ]
    lines += [
        f"  {region['name'].rpartition('/')[2]}{' (primary)' if region['primary'] else ''}"
        for region in item["regions"]
    ]
    return "\n".join(lines)


def _regions(answer: Answer, _: Values) -> str:
    rows = [
        {"name": region["name"].rpartition("/")[2], "primary": "yes" if region["primary"] else ""}
        for region in answer["items"]
    ]
    return _table(("NAME", "PRIMARY"), rows)


def _services(answer: Answer, _: Values) -> str:
    return _table(("NAME", "STATUS", "IMAGE"), answer["items"])


def _service(answer: Answer, _: Values) -> str:
    item = answer["item"]
    lines = [
        f"Service:        {item['name']}",
        f"Status:         {item['status']}",
        f"Image:          {item['image']}",
    ]
    for one in item["containerStatuses"]:
        waiting = one["state"].get("waiting")
        lines += (
            [f"Container:      {one['name']}: {waiting['reason']}: {waiting['message']}"] if waiting else []
        )
    return "\n".join(lines)


def _login(answer: Answer, _: Values) -> str:
    return _table(("CONTEXT", "NAME", "EMAIL"), [answer["item"]])


def _value(answer: Answer, _: Values) -> str:
    return str(answer["item"])


def _settings(answer: Answer, _: Values) -> str:
    return "\n".join(f"{name}: {value}" for name, value in answer["item"].items())


def _contexts(answer: Answer, _: Values) -> str:
    return _table(("NAME",), [{"name": name} for name in answer["items"]])


def _require(*names: str) -> Callable[[Values, Sequence[str]], None]:
    def check(values: Values, _: Sequence[str]) -> None:
        missing = [f'"{name}"' for name in names if not values.get(name)]
        if missing:
            raise CliError(f"required flag(s) {', '.join(missing)} not set")

    return check


def _check_add(values: Values, arguments: Sequence[str]) -> None:
    if values["config-only"] and values["secret-only"]:
        group = "[config-only secret-only]"
        raise CliError(
            f"if any flags in the group {group} are set none of the others can be; {group} were all set"
        )
    if not values["config-only"]:
        # The guide calls server and password mandatory.
        _require("docker-server", "docker-password")(values, arguments)


def _check_generic(values: Values, _: Sequence[str]) -> None:
    for name in ("literal", "from-file"):
        for pair in values[name]:
            if "=" not in pair:
                raise CliError(f"invalid --{name}, must be key=value")


def _secret_types() -> dict[tuple[str, ...], Command]:
    """`akka secrets create TYPE NAME`: each type with the flags of its reference page."""
    types: dict[str, tuple[Flag, ...]] = {
        "generic": (
            Flag("from-file", "strings", meaning="key=filename"),
            Flag("literal", "strings", meaning="key=value"),
        ),
        "symmetric": (Flag("secret-key"), Flag("secret-key-literal")),
        "asymmetric": (
            Flag("public-key"),
            Flag("private-key"),
            Flag("extract-public-key", "bool", default=False),
        ),
        "tls": (Flag("key"), Flag("cert"), Flag("ca")),
        "tls-ca": (Flag("cert"),),
    }
    return {
        ("secrets", "create", kind): Command(
            "secrets.create",
            _done,
            (*flags, *_WRITE),
            ("NAME",),
            check=_check_generic if kind == "generic" else None,
        )
        for kind, flags in types.items()
    }


_COMMON: dict[tuple[str, ...], Command] = {
    **_secret_types(),
    ("secrets", "list"): Command("secrets.list", _secrets, _READ, structured=True),
    ("secrets", "get"): Command("secrets.get", _secrets, _READ, ("SECRET_NAME",), structured=True),
    ("secrets", "delete"): Command("secrets.delete", _done, _READ, ("SECRET_NAME",)),
    ("projects", "list"): Command(
        "projects.list",
        _projects,
        (Flag("organization"), Flag("include-deleted", "bool", default=False)),
        structured=True,
    ),
    ("projects", "get"): Command("projects.get", _project, _PROJECT, ("[PROJECT]",), structured=True),
    # Reference: "exports all services in the project as a multi-document YAML descriptor".
    ("projects", "export"): Command("projects.export", _value, (*_PROJECT, _REGION)),
    ("services", "list"): Command("services.list", _services, _READ, structured=True),
    ("services", "get"): Command("services.get", _service, _READ, ("SERVICE",), structured=True),
    ("services", "deploy"): Command("services.deploy", _done, _WRITE, ("SERVICE", "IMAGE")),
    ("projects", "regions", "list"): Command("projects.regions.list", _regions, _PROJECT, structured=True),
    ("projects", "regions", "set-primary"): Command(
        "projects.regions.set-primary", _done, _PROJECT, ("REGION",)
    ),
    ("auth", "current-login"): Command("auth.current-login", _login, structured=True),
    ("config", "get"): Command("config.get", _value, (), ("KEY",)),
    ("config", "list"): Command("config.list", _settings),
    ("config", "get-project"): Command("config.get-project", _value),
    ("config", "get-organization"): Command("config.get-organization", _value),
    ("config", "current-context"): Command("config.current-context", _value),
    ("config", "list-contexts"): Command("config.list-contexts", _contexts),
    ("version",): Command("version", _value),
}

COMMANDS: dict[tuple[str, ...], Command] = {
    ("docker", "add-credentials"): Command(
        "docker.add-credentials",
        _done,
        (
            *_CREDENTIAL,
            Flag("secret-name", default="docker-credentials", meaning="secret that holds the credentials"),
            Flag("config-only", "bool", default=False, meaning="only change the registry config"),
            Flag("secret-only", "bool", default=False, meaning="only add or update the secret"),
            *_WRITE,
        ),
        check=_check_add,
        doing="error adding docker credentials",
    ),
    ("docker", "list-credentials"): Command(
        "docker.list-credentials",
        _credentials,
        _READ,
        structured=True,
        doing="error listing docker credentials",
    ),
    ("docker", "remove-credentials"): Command(
        "docker.remove-credentials", _done, _WRITE, ("SECRET",), doing="error removing docker credentials"
    ),
    **_COMMON,
}

OLD_COMMANDS: dict[tuple[str, ...], Command] = {
    ("docker", "add-credentials"): Command(
        "docker.add-credentials",
        _done,
        (*_CREDENTIAL, *_PROJECT),
        check=_require("docker-server", "docker-password"),
        doing="error adding docker credentials",
    ),
    ("docker", "list-credentials"): Command(
        "docker.list-credentials", _old_credentials, _PROJECT, doing="error listing docker credentials"
    ),
    ("docker", "delete-credentials"): Command(
        "docker.delete-credentials",
        _done,
        _PROJECT,
        ("CREDENTIALS_ID",),
        # This text is in the test fixtures of retgits/vscode-kalix-tools.
        doing="error deleting docker credentials",
    ),
    **_COMMON,
}

ALIASES = {"project": "projects", "secret": "secrets", "service": "services"}
"""Short forms in the guides."""


# -- reading the command line, as cobra and pflag do ---------------------------------------------------------


class CommandLine:
    """The words of one call, taken apart."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.flags: list[tuple[Flag, str]] = []


def _split(arguments: Sequence[str], flags: Sequence[Flag], path: str) -> CommandLine:
    """Separate flags from words; flags may be anywhere before `--`."""
    line = CommandLine()
    long = {flag.name: flag for flag in flags}
    short = {flag.short: flag for flag in flags if flag.short}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            line.words += rest
            break
        if word.startswith("--"):
            name, has_value, value = word[2:].partition("=")
            if name not in long:
                raise CliError(f"unknown flag: --{name}", usage_of=path)
            flag = long[name]
        elif word.startswith("-") and word != "-":
            name, value = word[1], word[2:]
            if name not in short:
                raise CliError(f"unknown shorthand flag: {name!r} in {word}", usage_of=path)
            flag = short[name]
            if flag.kind == "bool" and value and not value.startswith("="):
                rest.insert(0, f"-{value}")
                value = ""
            has_value, value = ("=" if value else ""), value.removeprefix("=")
        else:
            line.words.append(word)
            continue
        if not has_value:
            if flag.kind == "bool":
                value = "true"
            elif rest:
                value = rest.pop(0)
            else:
                raise CliError(f"flag needs an argument: --{flag.name}", usage_of=path)
        line.flags.append((flag, value))
    return line


def _values(line: CommandLine, flags: Sequence[Flag], path: str) -> Values:
    """The value of each flag, given or default."""
    values: Values = {flag.name: [] if flag.kind == "strings" else flag.default for flag in flags}
    for flag, text in line.flags:
        if flag.kind == "strings":
            values[flag.name].append(text)
        elif flag.kind == "string":
            values[flag.name] = text
        elif text.lower() in ("true", "t", "1", "false", "f", "0"):
            values[flag.name] = text.lower() in ("true", "t", "1")
        else:
            raise CliError(
                f'invalid argument "{text}" for "--{flag.name}" flag: '
                f'strconv.ParseBool: parsing "{text}": invalid syntax',
                usage_of=path,
            )
    return values


def _find(
    arguments: Sequence[str], commands: Mapping[tuple[str, ...], Command], flags: Sequence[Flag]
) -> tuple[str, ...]:
    """The command: the longest known sequence of words; flags before and between them are skipped.

    The command's own flags are known only once it is found, so a flag that is not global is assumed to have
    no value, as in cobra.
    """
    takes_value = {f"--{flag.name}" for flag in flags if flag.kind != "bool"}
    takes_value |= {f"-{flag.short}" for flag in flags if flag.short and flag.kind != "bool"}
    path: tuple[str, ...] = ()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("-"):
            if word in takes_value and rest:
                rest.pop(0)
            continue
        longer = (*path, ALIASES.get(word, word) if not path else word)
        if not any(known[: len(longer)] == longer for known in commands):
            raise CliError(
                f'unknown command "{word}" for "{" ".join(("akka", *path))}"', usage_of=_name(path)
            )
        path = longer
        if path in commands:
            break
    return path


def _name(path: Sequence[str]) -> str:
    return " ".join(("akka", *path))


def _check_arguments(command: Command, given: Sequence[str], path: str) -> None:
    needed = sum(not name.startswith("[") for name in command.arguments)
    most = len(command.arguments)
    if needed <= len(given) <= most:
        return
    if not most:
        raise CliError(f'unknown command "{given[0]}" for "{path}"', usage_of=path)
    allowed = f"accepts {most} arg(s)" if needed == most else f"accepts between {needed} and {most} arg(s)"
    raise CliError(f"{allowed}, received {len(given)}", usage_of=path)


def _help(path: tuple[str, ...], commands: Mapping[tuple[str, ...], Command], flags: Sequence[Flag]) -> str:
    lines = []
    if path in commands:
        command = commands[path]
        lines += ["Usage:", f"  {' '.join([_name(path), *command.arguments])} [flags]"]
        lines += _flag_lines("Flags:", command.flags)
    else:
        depth = len(path)
        groups = dict.fromkeys(known[depth] for known in commands if known[:depth] == path)
        lines += [
            "Usage:",
            f"  {_name(path)} [command]",
            "",
            "Available Commands:",
            *(f"  {name}" for name in groups),
        ]
    return "\n".join(lines + _flag_lines("Global Flags:", flags))


def _flag_lines(title: str, flags: Sequence[Flag]) -> list[str]:
    def line(flag: Flag) -> str:
        kind = {"bool": "", "string": " string", "strings": " stringArray"}[flag.kind]
        short = f"-{flag.short}, " if flag.short else "    "
        return f"  {short}--{flag.name}{kind}".ljust(34) + flag.meaning

    return ["", title, *(line(flag).rstrip() for flag in flags)] if flags else []


# -- asking the emulator -------------------------------------------------------------------------------------


class Server:
    """The emulator's loopback API; only this program, which gets its port and token, may use it."""

    def __init__(self, endpoint: Sequence[str], *, deadline: float) -> None:
        port, self._token = endpoint
        self._port = int(port)
        self._deadline = time.monotonic() + deadline

    def ask(self, path: str, body: Values) -> Answer:
        """Send one call, return the answer.

        Raises:
            CliError: the server refused, aborted or did not answer in time, or cannot be reached.
        """
        try:
            status, answer = self._exchange(path, marshal.dumps(body))
        except TimeoutError:
            raise CliError("rpc error: code = DeadlineExceeded desc = context deadline exceeded") from None
        except OSError as error:
            raise CliError(
                f'rpc error: code = Unavailable desc = error reading from server: "{error}"'
            ) from None
        except ValueError:
            raise CliError(
                "rpc error: code = Internal desc = failed to unmarshal the received message"
            ) from None
        if status != 200:
            raise CliError(f"rpc error: code = {answer['code']} desc = {answer['message']}")
        return answer

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _exchange(self, path: str, body: bytes) -> tuple[int, Answer]:
        """HTTP without `http.client`, which would take longer to import than the rest of this program."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: {MARSHALLED}\r\n"
            f"Authorization: Bearer {self._token}\r\nUser-Agent: akka-cli\r\nContent-Length: "
            f"{len(body)}\r\n\r\n"
        )
        answer_head, _, answer_body = self._send(head.encode() + body).partition(b"\r\n\r\n")
        first, *rest = answer_head.decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in rest)
        if headers.get("content-length") != str(len(answer_body)):
            raise ConnectionResetError("unexpected EOF")
        if headers.get("content-type") != MARSHALLED:
            raise ValueError(headers.get("content-type"))
        answer: Answer = marshal.loads(answer_body)  # noqa: S302  - from the emulator
        return int(first.split(" ", 2)[1]), answer

    def _send(self, request: bytes) -> bytes:
        """The bytes that the server sends until it closes the connection."""
        connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        try:
            connection.settimeout(self._left())
            connection.connect(("127.0.0.1", self._port))
            connection.sendall(request)
            received = bytearray()
            while True:
                connection.settimeout(self._left())
                chunk = connection.recv(65536)
                if not chunk:
                    return bytes(received)
                received += chunk
        finally:
            connection.close()


def _seconds(text: str) -> float:
    """Parse a Go duration to seconds: `10s`, `1m30s`, `250ms`."""
    units = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
    seconds = 0.0
    rest = "0s" if text == "0" else text
    try:
        while True:
            after = rest.lstrip(".0123456789")
            unit = next(unit for unit in units if after.startswith(unit))
            seconds += float(rest.removesuffix(after)) * units[unit]
            rest = after.removeprefix(unit)
            if not rest:
                return seconds
    except (StopIteration, ValueError):
        raise CliError(
            f'invalid argument "{text}" for "--timeout" flag: time: invalid duration "{text}"',
            usage_of="akka",
        ) from None


def _quoted(text: str) -> str:
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02X}"
        for byte in text.encode("utf-8", "surrogateescape")
    )


# -- the program ---------------------------------------------------------------------------------------------


def _hang() -> NoReturn:
    while True:
        time.sleep(3600)


def _read_files(path: Sequence[str], values: Values) -> dict[str, str]:
    """The contents of a secret to create, by key, from files and literals."""
    try:
        return _secret_data(path[-1], values)
    except OSError as error:
        raise CliError(f"open {error.filename}: {str(error.strerror).lower()}") from None


def _secret_data(kind: str, values: Values) -> dict[str, str]:
    def read(name: str) -> str:
        with open(name, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    if kind == "generic":
        literals = dict(pair.split("=", 1) for pair in values["literal"])
        return literals | {
            key: read(name) for key, name in (pair.split("=", 1) for pair in values["from-file"])
        }
    data = {}
    for name in ("secret-key", "public-key", "private-key", "key", "cert", "ca"):
        if values.get(name):
            data[name] = read(values[name])
    if values.get("secret-key-literal"):
        data["secret-key"] = values["secret-key-literal"]
    return data


def _structured(answer: Answer, values: Values) -> Any:
    """The value to print for `-o json`: a list command's items, or the single item."""
    return answer["items"] if _lists(answer, values) else answer["item"]


def to_json(value: Any, *, line: str = "") -> str:
    """Format JSON in its shortest form, or indented if `line`, the prefix of each line, is a newline."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    inner = f"{line}  " if line else ""
    if isinstance(value, dict):
        colon = ": " if line else ":"
        parts = [f"{to_json(name)}{colon}{to_json(one, line=inner)}" for name, one in value.items()]
        begin, end = "{", "}"
    else:
        parts = [to_json(one, line=inner) for one in value]
        begin, end = "[", "]"
    return f"{begin}{inner}{f',{inner}'.join(parts)}{line}{end}" if parts else begin + end


def _output(command: Command, answer: Answer, values: Values, *, structured: bool) -> str:
    form = values["output"]
    if not structured or form == "text":
        return command.render(answer, values)
    shown = _structured(answer, values)
    if form == "json":
        return to_json(shown, line="\n")
    return to_json(shown)


def _check_output_form(form: str, *, old: bool) -> None:
    if form.startswith("go-template="):
        raise CliError("the sandbox does not play the output go-template")
    # `json-compact` came on 2025-04-17.
    if form not in (("text", "json") if old else ("text", "json", "json-compact")):
        raise CliError(f'invalid output format "{form}"')


def _ask_the_person() -> None:
    """Prompt on stdin, whatever the flags."""
    sys.stderr.write("The credentials will be used by all services of this project. Continue? [y/N]: ")
    sys.stderr.flush()
    reply = sys.stdin.readline()
    if not reply:
        raise CliError("EOF")
    if reply.strip().lower() not in ("y", "yes"):
        raise CliError("cancelled")


def run(
    arguments: Sequence[str], environment: Mapping[str, str], endpoint: Sequence[str], manner: Sequence[str]
) -> str:
    """Carry out one call; return what goes to stdout.

    Args:
        arguments: the words after `akka`.
        environment: the environment variables.
        endpoint: the emulator's port and this program's token.
        manner: the behaviour, and the commands (by method) to which it applies.

    Raises:
        CliError: it failed.
    """
    mode, *applies_to = manner
    old = mode == "old"
    commands = OLD_COMMANDS if old else COMMANDS
    global_flags = OLD_GLOBAL_FLAGS if old else GLOBAL_FLAGS
    path = _find(arguments, commands, global_flags)
    command = commands.get(path)
    own_flags = command.flags if command else ROOT_FLAGS if not path and not old else ()
    flags = (*own_flags, *global_flags)
    line = _split(arguments, flags, _name(path))
    values = _values(line, flags, _name(path))
    if values.get("version"):
        path, command = ("version",), commands["version",]
    if values["help"] or command is None:
        return _help(path, commands, global_flags)
    given = line.words[len(path) :]
    _check_arguments(command, given, _name(path))
    _check_output_form(values["output"], old=old)
    if command.check is not None:
        command.check(values, given)

    # `akka projects get` also accepts the project as an argument.
    named = given[0] if given and command.method == "projects.get" else values.get("project")
    body: dict[str, Any] = {
        "flags": {
            name: value for name, value in values.items() if name in {flag.name for flag in command.flags}
        },
        "arguments": given,
        "context": values["context"],
        "project": named or environment.get("AKKA_PROJECT", ""),
        "token": environment.get("AKKA_TOKEN", ""),
    }
    if command.method == "secrets.create":
        body["kind"], body["data"] = path[-1], _read_files(path, values)
    misbehaves = command.method in applies_to
    if misbehaves and mode == "hangs":
        _hang()
    if misbehaves and mode == "asks":
        _ask_the_person()
    deadline = _seconds(values["timeout"])
    # Project and secret are in the path, so that the call log has them; it does not record bodies.
    about_one = command.method.startswith(("docker.", "secrets."))
    name = _quoted(str(given[0] if given and about_one else values.get("secret-name") or ""))
    address = f"/call/{command.method}?project={_quoted(body['project'])}&name={name}"
    try:
        answer = Server(endpoint, deadline=deadline).ask(address, body)
    except CliError as error:
        raise CliError(f"{command.doing}: {error}" if command.doing else str(error)) from None
    if misbehaves and mode == "babbles":
        return "~~ the winds of change are blowing ~~\n(c) nobody documented this"
    # The older CLI prints text only.
    shown = _output(command, answer, values, structured=command.structured and not old)
    output = "" if values["quiet"] and command.render is _done else shown
    if misbehaves and mode == "notices":
        return f"A new version of the Akka CLI is available [99.0.0]\n\n{output}"
    return output


def _told(name: str) -> list[str]:
    """The lines of a file that the emulator has written next to this program."""
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read().splitlines()


def main() -> int:
    # Like a Go program, end at once on Ctrl-C and when the reader of a pipe has closed it.
    for name in ("SIGINT", "SIGPIPE"):
        if hasattr(_signal, name):
            _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
    try:
        output = run(sys.argv[1:], os.environ, _told("endpoint"), _told("manner"))
    except CliError as error:
        sys.stderr.write(f"Error: {error}\n")
        if error.usage_of:
            sys.stderr.write(f"Run '{error.usage_of} --help' for usage.\n")
        return 1
    if output:
        sys.stdout.write(output + "\n")
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Skip Python's own shutdown, which takes a tenth of the whole run time.
    os._exit(status)
