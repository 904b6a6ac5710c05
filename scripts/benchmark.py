#!/usr/bin/env python3
"""Measures pullkey against the documented commands, in one run on one machine, and prints ratios.

    scripts/with-env scripts/benchmark.py                              all of it: some ten minutes
    scripts/with-env scripts/benchmark.py --flow gcr --latency 50 --runs 3
    scripts/with-env scripts/benchmark.py --fleet 1 --fleet 100
        many targets from one file, in place of all that
    scripts/with-env scripts/benchmark.py --fleet 100 --fleet 200 --quota 60
    scripts/with-env scripts/benchmark.py --fleet 10000 --processes 2 --seconds 600
        the memory of all processes of one apply, which is interrupted after that time
    scripts/with-env scripts/benchmark.py --write docs/performance.md  puts the tables into that page

Each measured run has a sandbox of its own, so that it starts from nothing; what is timed is the command
alone. A peer that is not installed is said to be missing, and its row is left out.

How long calls wait for one another is found in the sandbox's log at a latency of half a second, where nothing
else is long: two calls of which one ended before the other began count as one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bootstrap.__main__ import GC_THRESHOLD  # noqa: E402
from tests.harness.call_chain import chain, span  # noqa: E402

LATENCIES = (0, 50, 150)
_IAM_WRITES = "iam.[!glqt]*"
"""What is neither Get, List, Query nor Test."""
FLOWS = ("gcr", "acr")
START = {
    "--help": ["--help"],
    "--version": ["--version"],
    "onboard gcr --help": ["onboard", "gcr", "--help"],
    "completion bash": ["completion", "bash"],
    "onboard gcr --sever x (an error)": ["onboard", "gcr", "--sever", "x"],
}

DOCUMENTED = {
    "gcr": """
gcloud iam service-accounts create akka-docker-reader
gcloud projects add-iam-policy-binding acme-shop --member=serviceAccount:akka-docker-reader@acme-shop.iam.gserviceaccount.com --role=roles/artifactregistry.reader --condition=None
gcloud iam service-accounts keys create key.json --iam-account akka-docker-reader@acme-shop.iam.gserviceaccount.com
akka docker add-credentials --docker-server https://europe-west1-docker.pkg.dev --docker-username _json_key --docker-email anyemail@example.com --docker-password "$(cat key.json)"
""",  # noqa: E501
    "acr": """
ID=$(az acr show --name acmeshop --query id --output tsv)
az ad sp create-for-rbac --name akka-docker-reader --scopes "$ID" --role acrpull --output json > sp.json
APP=$(az ad sp list --display-name akka-docker-reader --query '[0].appId' --output tsv)
akka docker add-credentials --docker-server acmeshop.azurecr.io --docker-username "$APP" --docker-email anyemail@example.com --docker-password "$(sed -n 's/.*"password": *"\\(.*\\)".*/\\1/p' sp.json)"
""",  # noqa: E501
}
NEEDS = {"gcr": "gcloud", "acr": "az"}


@dataclass
class Measured:
    """One command, timed."""

    seconds: float
    cpu: float
    calls: int = 0
    chain: int = 0
    akka: int = 0


def onboarding(flow: str) -> list[str]:
    return ["pullkey", "onboard", flow, "--yes"]


def documented(flow: str) -> list[str]:
    return ["sh", "-euc", DOCUMENTED[flow]]


def measure(command: Sequence[str], latency: int) -> Measured:
    """Run a command in a fresh sandbox, and time it there."""
    with tempfile.TemporaryDirectory(prefix="pullkey-benchmark-") as folder:
        log, told = Path(folder, "calls.jsonl"), Path(folder, "told.json")
        done = subprocess.run(
            [
                "pullkey",
                "sandbox",
                "exec",
                "--latency",
                f"{latency}ms",
                "--log",
                str(log),
                "--",
                sys.executable,
                str(Path(__file__)),
                "--inside",
                str(told),
                "--",
                *command,
            ],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        figures = json.loads(told.read_text(encoding="utf-8"))
        calls = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return Measured(
        **figures,
        calls=len(calls),
        chain=chain(span(one["time"], one["ms"]) for one in calls),
        akka=sum(one["api"] == "akka" for one in calls),
    )


def inside(told: str, command: Sequence[str]) -> int:
    """The timed half: runs the command and writes down how long it took."""
    begin = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime}
    Path(told).write_text(json.dumps(figures), encoding="utf-8")
    return done.returncode


def environment() -> dict[str, str]:
    """Without what would lead elsewhere, or make the SDKs and az be compiled anew each time."""
    dropped = ("PULLKEY_", "AKKA_", "AZURE_", "GOOGLE_", "CLOUDSDK_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def best(command: Sequence[str], times: int = 15, *, may_fail: bool = False) -> float:
    """The shortest of some runs, in seconds: what disturbs a run only makes it longer."""

    def once() -> float:
        begin = time.perf_counter()
        subprocess.run(
            command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, check=not may_fail
        )
        return time.perf_counter() - begin

    return min(once() for _ in range(times))


# -- the floor -----------------------------------------------------------------------------------------------


def imported_by(command: Sequence[str]) -> list[str]:
    """The modules that a run of the product imports, in their order."""
    with tempfile.TemporaryDirectory(prefix="pullkey-benchmark-") as folder:
        told = Path(folder, "modules")
        code = (
            "import atexit, sys, types; from bootstrap.cli import main; "
            # A deferred module is of another type until its code has run.
            "ran = lambda: [name for name, one in sys.modules.items() if type(one) is types.ModuleType]; "
            f"atexit.register(lambda: open({str(told)!r}, 'w').write(' '.join(ran()))); "
            f"sys.argv = {list(command)!r}; main()"
        )
        subprocess.run(
            ["pullkey", "sandbox", "exec", "--", sys.executable, "-c", code],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        return told.read_text(encoding="utf-8").split()


def start_of(flow: str) -> float:
    """A process that imports what this flow imports, and does nothing."""
    modules = [name for name in imported_by(onboarding(flow)) if name != "__main__"]
    code = (
        f"import gc, importlib, os, warnings; gc.set_threshold({GC_THRESHOLD}); "
        "warnings.simplefilter('ignore')\n"
        f"for name in {modules!r}:\n"
        "    try: importlib.import_module(name)\n"
        "    except Exception: pass\n"
        "os._exit(0)\n"
    )
    return best([sys.executable, "-c", code], 5)


def akka_seconds() -> float:
    """One call of the sandbox's Akka CLI without latency."""
    code = "for i in 1 2 3 4 5 6 7 8 9 10; do akka docker list-credentials >/dev/null; done"
    return min(measure(["sh", "-euc", code], 0).seconds for _ in range(3)) / 10


# -- tables --------------------------------------------------------------------------------------------------


def compare(flows: Sequence[str], latencies: Sequence[int], runs: int) -> Iterator[dict[str, Any]]:
    """The flows, ours and the documented commands in turn, so that a busy moment meets both."""
    one_akka = akka_seconds()
    for flow in flows:
        there = shutil.which(NEEDS[flow]) is not None
        if not there:
            print(f"{NEEDS[flow]} is not installed: its rows are left out", file=sys.stderr)
        ours_at_length = measure(onboarding(flow), 500)
        theirs_at_length = measure(documented(flow), 500) if there else None
        start = start_of(flow)
        for latency in latencies:
            ours, theirs = [], []
            for _ in range(runs):
                ours.append(measure(onboarding(flow), latency))
                if there:
                    theirs.append(measure(documented(flow), latency))
            seconds = statistics.median(one.seconds for one in ours)
            floor = start + ours_at_length.chain * latency / 1000 + AKKA_CHAIN * one_akka
            row: dict[str, Any] = {
                "flow": flow,
                "latency_ms": latency,
                "seconds": seconds,
                "cpu": statistics.median(one.cpu for one in ours),
                "calls": ours_at_length.calls,
                "akka_calls": ours_at_length.akka,
                "chain": ours_at_length.chain,
                "start": start,
                "akka": one_akka,
                "floor": floor,
                "to_floor": seconds / floor,
            }
            if theirs_at_length is not None:
                peer = statistics.median(one.seconds for one in theirs)
                row |= {
                    "peer_seconds": peer,
                    "peer_cpu": statistics.median(one.cpu for one in theirs),
                    "peer_calls": theirs_at_length.calls,
                    "peer_chain": theirs_at_length.chain,
                    "ratio": peer / seconds,
                }
            yield row


AKKA_CHAIN = 3
"""How often the Akka CLI is waited for and nothing else can be done: for a last look, to hand off, to read
back.
"""


def flows_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        (
            "| flow | latency a call | documented commands | pullkey | times as fast | calls (one "
            "after another): documented | pullkey | floor | times the floor |"
        ),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        cells = [row["flow"], f"{row['latency_ms']} ms"]
        if "peer_seconds" in row:
            theirs = f"{row['peer_calls']} ({row['peer_chain']})"
            cells += [
                f"{row['peer_seconds']:.2f} s",
                f"{row['seconds']:.2f} s",
                f"{row['ratio']:.1f}",
                theirs,
            ]
        else:
            cells += ["not installed", f"{row['seconds']:.2f} s", "", ""]
        cells += [f"{row['calls']} ({row['chain']})", f"{row['floor']:.2f} s", f"{row['to_floor']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def start_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = ["| command | time | times `import argparse` |", "| --- | ---: | ---: |"]
    return lines + [
        f"| `pullkey {row['command']}` | {row['seconds'] * 1000:.0f} ms | {row['ratio']:.1f} |"
        for row in rows
    ]


def starts() -> Iterator[dict[str, Any]]:
    """What tells about itself, beside a bare interpreter that imports argparse."""
    bare = best([sys.executable, "-c", "import argparse"])
    for name, arguments in START.items():
        seconds = best(["pullkey", *arguments], may_fail=True)
        yield {"command": name, "seconds": seconds, "ratio": seconds / bare}


def fleets(sizes: Sequence[int], *, faults: bool) -> Iterator[dict[str, Any]]:
    """Plan, apply and apply again of a file of so many targets, at 50 ms a call."""
    from bootstrap.sandbox.host import SandboxSettings
    from tests.harness.fleet_sandbox import fleet

    chances = ("*.*=503;chance=0.01*forever", "*.*=429;chance=0.01*forever") if faults else ()
    for size in sizes:
        with fleet(size, SandboxSettings(latency=0.05, faults=chances)) as (running, path):
            log = running.sandbox.log.calls
            for command in (["plan"], ["apply", "--yes"], ["apply", "--yes"]):
                before = len(log)
                seconds, peak, code = _watched(
                    ["pullkey", *command, "-f", str(path), "--timeout", "120s"],
                    {**environment(), **running.environment},
                )
                yield {
                    "targets": size,
                    "command": command[0],
                    "seconds": seconds,
                    "peak_mib": peak,
                    "exit_code": code,
                    "calls": len(log) - before,
                    "changes": sum(call.changes and call.status < 400 for call in log[before:]),
                }


def under_quota(size: int, quota: int) -> dict[str, Any]:
    """Apply a file of so many targets, those of Google in one project, where IAM lets through so many writes
    a minute. `times`: the seconds that it took, of those that the quota takes at least.
    """
    from bootstrap.sandbox.host import SandboxSettings
    from tests.harness.fleet_sandbox import fleet

    settings = SandboxSettings(faults=(f"{_IAM_WRITES}=429;above={quota}/60*forever",))
    with fleet(size, settings, google_projects=1) as (running, path):
        seconds, _, code = _watched(
            ["pullkey", "apply", "--yes", "-f", str(path)], {**environment(), **running.environment}
        )
        calls = [call for call in running.sandbox.log.calls if call.api == "iam" and call.changes]
        writes = sum(call.status < 400 for call in calls)
        # The first ones are let through at once, and as many each time that a minute has passed.
        least = 60 * ((writes - 1) // quota)
        return {
            "targets": size,
            "quota": f"{quota} writes of IAM a minute and project",
            "writes": writes,
            "refused": len(calls) - writes,
            "exit_code": code,
            "seconds": round(seconds, 1),
            "least_seconds": least,
            "times": round(seconds / least, 2) if least else None,
        }


def in_processes(size: int, processes: int, seconds: float) -> dict[str, Any]:
    """Apply a file of so many targets in processes; interrupt it after so many seconds."""
    from bootstrap.sandbox.host import SandboxSettings
    from tests.harness.fleet_sandbox import fleet

    with fleet(size, SandboxSettings()) as (running, path):
        begin = time.perf_counter()
        child = subprocess.Popen(
            ["pullkey", "apply", "-f", str(path), "--yes", "--processes", str(processes)],
            env={**environment(), **running.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peak, most = 0.0, 0
        while child.poll() is None:
            if (passed := time.perf_counter() - begin) > seconds:
                child.terminate()
                seconds = passed + 60
            memory = proportional_mib(child.pid)
            peak, most = max(peak, sum(memory)), max(most, len(memory))
            time.sleep(0.25)
        changes = sum(call.changes and call.status < 400 for call in running.sandbox.log.calls)
        return {
            "targets": size,
            "command": f"apply --processes {processes}",
            "seconds": time.perf_counter() - begin,
            "peak_mib": peak,
            "most_processes": most,
            "exit_code": child.returncode,
            "changes": changes,
        }


def proportional_mib(pid: int) -> list[float]:
    """The memory of a process and of its forks, which have its command line; a page that several share counts
    for each with its part (`Pss` of proc_pid_smaps_rollup(5)). The Akka CLIs are other programs.
    """
    line = _read(f"/proc/{pid}/cmdline")
    tree = [pid, *(int(one) for one in _read(f"/proc/{pid}/task/{pid}/children").split())]
    found = []
    for one in tree:
        if _read(f"/proc/{one}/cmdline") == line:
            rest = _read(f"/proc/{one}/smaps_rollup").partition("\nPss:")[2].split()
            found += [int(rest[0]) / 1024] if rest else []
    return found


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:  # it has ended
        return ""


def _watched(command: Sequence[str], env: dict[str, str]) -> tuple[float, float, int]:
    """Seconds, peak memory in MiB, exit code."""
    begin = time.perf_counter()
    child = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(child.pid, 0)
    return time.perf_counter() - begin, used.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)


def fleet_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    columns = "targets | command | exit code | time | a target | calls a target | changes | memory"
    return [f"| {columns} |", "| ---: | --- |" + " ---: |" * 6] + [
        f"| {row['targets']} | `{row['command']} -f` | {row['exit_code']} | {row['seconds']:.1f} s "
        f"| {row['seconds'] / row['targets']:.2f} s "
        f"| {row['calls'] / row['targets']:.1f} | {row['changes']} | {row['peak_mib']:.0f} MiB |"
        for row in rows
    ]


def write(page: Path, tables: dict[str, list[str]]) -> None:
    """Put each table between its two marks."""
    text = page.read_text(encoding="utf-8")
    for name, lines in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = "".join([before, begin, *(f"{line}\n" for line in lines), end, after])
    page.write_text(text, encoding="utf-8")


def machine() -> str:
    """What the figures are of: the machine, Python, and the commit."""
    at = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    measured = f", at {at}" if at else ""
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}{measured}"


def main() -> int:
    """Measure, and print."""
    if "--inside" in sys.argv[:2]:
        return inside(sys.argv[2], sys.argv[4:])
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flow", action="append", choices=FLOWS)
    parser.add_argument("--latency", action="append", type=int, metavar="MS", help="of each call")
    parser.add_argument("--runs", type=int, default=5, help="of each, of which the median is told")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--fleet", action="append", type=int, metavar="TARGETS", help="of one file")
    parser.add_argument(
        "--faults", action="store_true", help="with --fleet: 2 %% of the calls are answered 429 or 503"
    )
    parser.add_argument("--quota", type=int, metavar="WRITES", help="with --fleet: of IAM, in a minute")
    parser.add_argument("--processes", type=int, help="with --fleet: the memory of one apply in so many")
    parser.add_argument("--seconds", type=float, default=3600.0, help="after which that is interrupted")
    asked = parser.parse_args()
    if asked.fleet and asked.quota:
        for size in asked.fleet:
            print(json.dumps(under_quota(size, asked.quota)))
        return 0
    if asked.fleet and asked.processes:
        for size in asked.fleet:
            print(json.dumps(in_processes(size, asked.processes, asked.seconds)))
        return 0
    if asked.fleet:
        many = list(fleets(asked.fleet, faults=asked.faults))
        lines = fleet_table(many)
        print("\n".join(lines))
        if asked.write:
            told = " and 2 % of them answered 429 or 503" if asked.faults else ""
            name = "fleet with faults" if asked.faults else "fleet"
            write(asked.write, {name: [f"On {machine()}, with 50 ms a call{told}.", "", *lines]})
        return 0
    flows = list(compare(asked.flow or FLOWS, asked.latency or LATENCIES, asked.runs))
    begun = list(starts())
    tables = {
        "flows": [f"On {machine()}; the median of {asked.runs} runs.", "", *flows_table(flows)],
        "starts": start_table(begun),
    }
    print("\n".join(line for lines in tables.values() for line in [*lines, ""]))
    if asked.write:
        write(asked.write, tables)
    if asked.json:
        document = {"machine": machine(), "runs": asked.runs, "flows": flows, "starts": begun}
        asked.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
