# SPDX-License-Identifier: Apache-2.0
"""The command line. Every command is a module; each imports what it needs when it runs."""

from __future__ import annotations

import errno
import functools
import inspect as inspection
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from .. import __version__
from ..errors import TalksplatError
from .bench import bench
from .convert import convert
from .doctor import doctor
from .encoder import export, list_folders
from .example import example
from .inspect import inspect
from .motion import motion
from .render import render
from .say import say
from .stopping import Stopped, signalled, signals_stop
from .streams import discard, flush_stdout, missing_streams_opened
from .streams import say as say_line
from .voice import adapt

FULL = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO") if hasattr(errno, name)}

app = typer.Typer(
    name="talksplat",
    help="Make avatars, trained 3D-Gaussian-splatting heads, speak; import, inspect and measure them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Names options in messages, and ends well where typer has its own, silent ends."""
    flags = _flags(command)

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except (TalksplatError, ValueError) as error:
            raise Stopped(_with_options(_one_line(error), flags), 1) from None
        except KeyboardInterrupt:
            raise Stopped("interrupted.", 130) from None
        except BrokenPipeError:
            raise _no_reader() from None

    return run


def _no_reader() -> Stopped:
    discard(sys.stdout)
    return Stopped("the reader of the output closed it.", 1)


def _flags(command: Callable[..., None]) -> dict[str, str]:
    """Parameter → its option."""
    parameters = inspection.signature(command, eval_str=True).parameters
    infos = {name: parameter.annotation.__metadata__[0] for name, parameter in parameters.items()}
    # Within Annotated, typer takes what is first for a name, too.
    words = {name: (info.default, *(info.param_decls or ())) for name, info in infos.items()}
    flags = {
        name: [word for word in found if isinstance(word, str) and word[:2] == "--"] for name, found in words.items()
    }
    return {name: found[0] for name, found in flags.items() if found}


def _with_options(message: str, flags: dict[str, str]) -> str:
    """A message about Python's arguments, with the names that they have here."""
    for name, flag in flags.items():
        message = re.sub(rf"(?:^(?:\w+: )?|(?<= and )){name}(?= must | and | are )", flag, message)
        message = message.replace(f"{name}=...", flag)
    return message.replace("Choose a smaller size.", "Choose a smaller --size.")


for command in (render, say, motion, convert, example, inspect, bench, doctor):
    app.command()(_guarded(command))

encoder = typer.Typer(
    help="Export networks that hear speech, to run them live.", no_args_is_help=True, rich_markup_mode=None
)
encoder.command("export")(_guarded(export))
encoder.command("list")(_guarded(list_folders))
app.add_typer(encoder, name="encoder")

voice = typer.Typer(help="Voices: what hears speech and moves faces.", no_args_is_help=True, rich_markup_mode=None)
voice.command("adapt")(_guarded(adapt))
app.add_typer(voice, name="voice")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"talksplat {__version__}")
        raise typer.Exit


# Of one command, which is named all the same.
@voice.callback()
def _voices() -> None:
    pass


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code: 0, 1 (an error), 2 (a wrong command line), 130 (interrupted)."""
    with missing_streams_opened(), signals_stop():
        try:
            try:
                code = app(args=arguments, prog_name="talksplat", standalone_mode=False)
            finally:
                flush_stdout()
        except (BrokenPipeError, SystemExit):  # typer and rich leave by SystemExit where nobody reads
            return _failed(signalled() or _no_reader())
        except (Exception, Stopped) as error:
            # What a signal raises in the middle of an import comes out of it as another error.
            return _failed(signalled() or error)
    return code if isinstance(code, int) else 0


def _failed(error: Exception | Stopped) -> int:
    if isinstance(error, Stopped):
        return _fail(str(error), error.code)
    if isinstance(error, MemoryError):
        said = str(error).rstrip(".")
        return _fail(f"there is not enough memory{f' ({said})' if said else ''}. Ask for less, or give it more.")
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return _fail(f"{os.fsdecode(error.filename)}: {error.strerror}.")
    if isinstance(error, OSError) and error.errno in FULL:  # what is written to files bears their names
        discard(sys.stdout)
        return _fail(f"stdout: cannot be written ({error.strerror}).")
    if isinstance(error, (TalksplatError, ValueError, OSError, ImportError)):
        return _fail(_one_line(error))
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
        say_line(message, keep="\n")
        return code
    command = getattr(getattr(error, "ctx", None), "command_path", "talksplat")
    return _fail(f"{_one_line(message)} See {command} --help.", code)


def _one_line(error: object) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "?", "!")) else text + "."


def _fail(message: str, code: int = 1) -> int:
    say_line(f"error: {message}")
    return code
