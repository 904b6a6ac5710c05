"""Run a program with limits on its time and output, and end its child processes with it.

The program may be a wrapper whose children do the work, or may leave a child that keeps its pipes open. So it
gets its own process group, which is killed with whatever has left the group, and waiting for a pipe is
limited.
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
# Seconds to wait for the output of children that outlive the program.
_AFTER_END_SECONDS = 2.0
_AFTER_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class ProcessResult:
    """The exit code and output of a program."""

    code: int
    out: bytes
    err: bytes


class TookTooLong(Exception):
    """The program did not end in time and was killed."""


class PrintedTooMuch(Exception):
    """The program printed more than `OUTPUT_LIMIT` and was killed."""


async def run_group(
    argv: Sequence[str],
    *,
    password: tuple[str, Secret] | None = None,
    env: Mapping[str, str],
    seconds: float,
    lock: int | None,
) -> ProcessResult:
    """Run a program in its own process group, without a shell.

    Args:
        argv: the program and its arguments.
        password: an additional argument, as flag and value, which no local variable holds in plain text.
        env: the environment.
        seconds: the time limit.
        lock: a descriptor that the program inherits and holds while it runs, even if this process is killed.
            Children that outlive the program are then killed, so that they do not keep the lock.

    Raises:
        OSError, ValueError: it cannot be started. The error's text can contain the arguments.
        TookTooLong, PrintedTooMuch: it was killed for that, and may have done its work.
    """
    call = Call(password)
    async with contextlib.AsyncExitStack() as stack:
        (out, out_end), (err, err_end) = (await _pipe(stack), await _pipe(stack))
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                *([] if password is None else [f"{password[0]}{password[1].reveal()}"]),
                stdin=asyncio.subprocess.DEVNULL,
                # Not asyncio's own pipes: waiting for the process would also wait for its children that
                # hold them.
                stdout=out_end,
                stderr=err_end,
                env=call.environment(env),
                # A Ctrl-C in the terminal must not interrupt it halfway.
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
                # After a success, spare daemons that others may use (such as a key agent), except those that
                # show the key.
                await _kill(call, process, all_of_it=process.returncode != 0)
        return ProcessResult(process.returncode or 0, *printed)


async def _until_its_end(
    process: asyncio.subprocess.Process, outputs: Sequence[asyncio.Task[bytes]], seconds: float
) -> None:
    """Wait until the program itself has ended.

    Raises:
        TookTooLong, PrintedTooMuch: it reached that limit.
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
    """Open a pipe. Return the reader, and the descriptor that a program writes to."""
    read_end, write_end = os.pipe()
    output = _Output()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output.reader), os.fdopen(read_end, "rb", 0)
    )
    stack.callback(transport.close)
    return output, write_end


class _Output:
    """The output of a program so far."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.so_far = bytearray()


async def _bounded(output: _Output) -> bytes:
    """Read the whole output.

    Raises:
        PrintedTooMuch: it is longer than `OUTPUT_LIMIT`.
    """
    while chunk := await output.reader.read(_CHUNK):
        output.so_far += chunk
        if len(output.so_far) > OUTPUT_LIMIT:
            raise PrintedTooMuch
    return bytes(output.so_far)


def _printed(task: asyncio.Task[bytes], output: _Output) -> bytes:
    """The output: all of it, or what has arrived if another process still holds the pipe.

    Raises:
        PrintedTooMuch: it is longer than `OUTPUT_LIMIT`.
    """
    return task.result() if task.done() else bytes(output.so_far)


async def _kill(call: Call, process: asyncio.subprocess.Process, *, all_of_it: bool) -> None:
    """Kill the program and its children."""
    await asyncio.to_thread(call.kill, process.pid, all_of_it=all_of_it)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _AFTER_KILL_SECONDS)


def _retrieved(task: asyncio.Task[bytes]) -> None:
    """Mark the exception as retrieved: asyncio would log the error of the second stream."""
    if not task.cancelled():
        task.exception()
