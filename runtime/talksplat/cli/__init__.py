"""The command line. Every command is a module; each imports what it needs when it runs."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import TalksplatError
from .bench import bench
from .convert import convert
from .doctor import doctor
from .inspect import inspect
from .render import render

app = typer.Typer(
    name="talksplat",
    help="Render, import, inspect and measure avatars: trained 3D-Gaussian-splatting heads.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
for command in (render, convert, inspect, bench, doctor):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"talksplat {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


class _Terminated(BaseException):
    """SIGTERM, raised so that what is half-written is removed."""


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code: 0, 1 (an error), 2 (a wrong command line), 130 (interrupted)."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = app(args=arguments, prog_name="talksplat", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (TalksplatError, ValueError, OSError, MemoryError, ImportError) as error:
        if isinstance(error, BrokenPipeError):
            # Python flushes stdout once more at exit, which would fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _fail("the reader of the output closed it.")
        return _fail(_one_line(error))
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted.", 130)
    except _Terminated:
        return _fail("terminated.", 143)
    except Exception as error:
        return _wrong_command_line(error)


def _wrong_command_line(error: Exception) -> int:
    # The command line's own errors have no public base class that every version of typer shares.
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        if os.environ.get("TALKSPLAT_TRACEBACK"):
            raise error
        return _fail(f"{type(error).__name__}: {_one_line(error)} A bug: report it with TALKSPLAT_TRACEBACK=1 set.")
    message = format_message()
    code = int(getattr(error, "exit_code", 2))
    if message.startswith("Usage:"):  # a group without a command
        print(message, file=sys.stderr)
        return code
    command = getattr(getattr(error, "ctx", None), "command_path", "talksplat")
    return _fail(f"{_one_line(message)} See {command} --help.", code)


def _one_line(error: object) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "?", "!")) else text + "."


def _fail(message: str, code: int = 1) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
