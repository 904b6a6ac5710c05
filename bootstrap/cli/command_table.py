"""The commands by name, each with the module that is imported when it is called, and one line of help."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "onboard": ("bootstrap.cli.target", "onboard", "Let an Akka project pull from a private registry."),
    "plan": ("bootstrap.cli.target", "plan", "Show what onboard would do; change nothing."),
    "apply": ("bootstrap.cli.apply", "apply", "Apply a file of registries, as plan -f shows it."),
    "verify": ("bootstrap.cli.target", "verify", "Verify a credential that Akka holds."),
    "list": (
        "bootstrap.cli.lifecycle",
        "list_credentials",
        "List credentials with key age, expiry and status.",
    ),
    "report": ("bootstrap.cli.reporting", "report", "Write the list as one HTML page."),
    "audit": ("bootstrap.cli.audit_verify", "audit", "Verify the audit trail that --audit writes."),
    "rotate": ("bootstrap.cli.lifecycle", "rotate", "Replace the key of a credential."),
    "offboard": (
        "bootstrap.cli.lifecycle",
        "offboard",
        "Remove a credential and its cloud resources.",
    ),
    "import": (
        "bootstrap.cli.importing",
        "import_file",
        "Write a file of registries from Akka's credentials.",
    ),
    "validate": (
        "bootstrap.cli.validate",
        "validate",
        "Check files of registries, without login or network.",
    ),
    "doctor": ("bootstrap.cli.doctor", "doctor", "Check logins, versions, clocks and this machine."),
    "providers": (
        "bootstrap.cli.providers",
        "providers",
        "List the installed providers, their packages and hosts.",
    ),
    "runbook": ("bootstrap.cli.target", "runbook", "Write the steps as a script or page to run by hand."),
    "permissions": (
        "bootstrap.cli.permissions",
        "permissions",
        "List the permissions that the login needs, also as a role.",
    ),
    "sandbox": ("bootstrap.cli.sandbox", "sandbox", "Try everything against local emulators."),
    "explain": ("bootstrap.cli.explain", "explain", "Explain a code: cause, fix, and who can do it."),
    "schema": ("bootstrap.cli.schema", "schema", "Print the JSON Schema of --output json."),
    "help": ("bootstrap.cli.helping", "help_command", "Show the help of a command."),
    "completion": ("bootstrap.cli.completion", "completion", "Print the completion script of a shell."),
}

# With -f FILE these are about all the targets of a file.
OF_A_FILE = {
    "plan": ("bootstrap.cli.apply", "plan_file"),
    "list": ("bootstrap.cli.lifecycle", "list_file"),
    "rotate": ("bootstrap.cli.lifecycle", "rotate_file"),
    "offboard": ("bootstrap.cli.lifecycle", "offboard_file"),
    "report": ("bootstrap.cli.apply", "report_file"),
    "runbook": ("bootstrap.cli.apply", "runbook_file"),
}


def command_of(name: str) -> click.Command:
    """The command of this name."""
    module, attribute, _ = COMMANDS[name]
    command: click.Command = getattr(import_module(module), attribute)
    return command


def file_command(verb: str) -> click.Command:
    """The command of this name for a file of registries."""
    module, name = OF_A_FILE[verb]
    command: click.Command = getattr(import_module(module), name)
    return command
