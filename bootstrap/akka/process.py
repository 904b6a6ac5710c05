"""Runs one program to its end, within a bound of time and of output, together with all that it starts.

The program may be a wrapper whose children do the work, or leave one behind that holds its pipes open: so it
gets a process group of its own, which is killed as a whole with what has left it, and nothing waits for a
pipe without a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bootstrap.akka.process_tree import Call
from bootstrap.model.secret import Secret

OUTPUT_LIMIT = 8 << 20
_CHUNK = 1 << 16
# How long what is left behind by a program that has ended gets for its output.
_AFTER_END_SECONDS = 2.0
_AFTER_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class ProcessResult:
    """How a program ended, and what it printed."""

    code: int
    out: bytes
    err: bytes


class TookTooLong(Exception):
    """It did not end in time, and was killed."""


class PrintedTooMuch(Exception):
    """It printed more than `OUTPUT_LIMIT`, and was killed."""


async def run_group(
    argv: Sequence[str],
    *,
    password: tuple[str, Secret] | None = None,
    env: Mapping[str, str],
    seconds: float,
    lock: int | None,
) -> ProcessResult:
    """Run a program in a process group of its own.

    Args:
        argv: the program and its arguments; no shell.
        password: one argument more, a flag and its value, which no variable here holds in plain.
        env: its environment.
        seconds: how long it may take.
        lock: a descriptor that it holds as long as it runs, also if this process is killed. What it leaves
            running behind it is then killed, so that the lock does not stay with that.

    Raises:
        OSError, ValueError: it cannot be started. The text can hold the arguments.
        TookTooLong, PrintedTooMuch: it was killed for that; what it was to do may have been done.
    """
    call = Call(password)
    async with contextlib.AsyncExitStack() as stack:
        (out, out_end), (err, err_end) = (await _pipe(stack), await _pipe(stack))
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                *([] if password is None else [f"{password[0]}{password[1].reveal()}"]),
                stdin=asyncio.subprocess.DEVNULL,
                # Not asyncio's own pipes: waiting for the end of a process would wait for whoever else holds
                # them.
                stdout=out_end,
                stderr=err_end,
                env=call.environment(env),
                # A Ctrl-C in the terminal must not cut it in half.
                start_new_session=True,
                pass_fds=() if lock is None else (lock,),
            )
        finally:
            os.close(out_end)
            os.close(err_end)
        outputs = [asyncio.create_task(_bounded(stream)) for stream in (out, err)]
        for task in outputs:
            task.add_done_callback(_retrieved)
        ended = False
        try:
            await _until_its_end(process, outputs, seconds)
            ended = True
            await asyncio.wait(outputs, timeout=_AFTER_END_SECONDS)
            printed = [_printed(task, stream) for task, stream in zip(outputs, (out, err), strict=True)]
        finally:
            for task in outputs:
                task.cancel()
            if not ended or lock is not None:
                # What changes something and did not fail may have started a daemon that others use (a key
                # agent).
                await _kill(call, process, all_of_it=process.returncode != 0)
        return ProcessResult(process.returncode or 0, *printed)


async def _until_its_end(
    process: asyncio.subprocess.Process, outputs: Sequence[asyncio.Task[bytes]], seconds: float
) -> None:
    """Wait until the program itself has ended.

    Raises:
        TookTooLong, PrintedTooMuch: it did not.
    """
    end = asyncio.create_task(process.wait())
    waiting: set[asyncio.Task[int] | asyncio.Task[bytes]] = {end, *outputs}
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        while not end.done():
            done, waiting = await asyncio.wait(
                waiting, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise TookTooLong
            for task in outputs:
                if task.done() and task.exception() is not None:
                    raise PrintedTooMuch
    finally:
        end.cancel()


async def _pipe(stack: contextlib.AsyncExitStack) -> tuple[_Output, int]:
    """A pipe: what is read from it, and the end that a program writes to."""
    read_end, write_end = os.pipe()
    output = _Output()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output.reader), os.fdopen(read_end, "rb", 0)
    )
    stack.callback(transport.close)
    return output, write_end


class _Output:
    """What a program has printed so far."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.so_far = bytearray()


async def _bounded(output: _Output) -> bytes:
    """All of it.

    Raises:
        PrintedTooMuch: it is more than may be kept.
    """
    while chunk := await output.reader.read(_CHUNK):
        output.so_far += chunk
        if len(output.so_far) > OUTPUT_LIMIT:
            raise PrintedTooMuch
    return bytes(output.so_far)


def _printed(task: asyncio.Task[bytes], output: _Output) -> bytes:
    """What it has printed; as far as that has come, where somebody else still holds the pipe.

    Raises:
        PrintedTooMuch: it is more than may be kept.
    """
    return task.result() if task.done() else bytes(output.so_far)


async def _kill(call: Call, process: asyncio.subprocess.Process, *, all_of_it: bool) -> None:
    """Kill the program and what it has started."""
    await asyncio.to_thread(call.kill, process.pid, all_of_it=all_of_it)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _AFTER_KILL_SECONDS)


def _retrieved(task: asyncio.Task[bytes]) -> None:
    """One of two that print too much is enough to know; asyncio would print the other's error."""
    if not task.cancelled():
        task.exception()
