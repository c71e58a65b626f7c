"""The `vqcodec` command: parse, dispatch, and turn every failure into one line and its exit code.

Commands live one per module and load when they are asked for, so that `--help`, `info` and `verify`
answer without torch.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any, Final, NoReturn

import click

from vqcodec.bitstream.layout import FORMAT_VERSION
from vqcodec.cli import console
from vqcodec.cli.console import INTERRUPTED, PROGRAM
from vqcodec.cli.shared import examples
from vqcodec.errors import FileError

COMMANDS: Final[dict[str, str]] = {
    "encode": "Encode images to .vqc files.",
    "decode": "Decode .vqc files to images.",
    "info": "Tell what .vqc files say of themselves.",
    "verify": "Check that .vqc files are whole.",
    "impair": "Lose packets of .vqc files and flip bits, as a bad channel does.",
    "send": "Send the packets of a .vqc file over UDP, one a datagram.",
    "receive": "Receive the packets of a .vqc file over UDP.",
    "view": "Open .vqc files and make them of photos, in a browser.",
    "models": "List, check and export model packs; make one of a checkpoint.",
    "train": "Make a model pack from photos.",
}
"""Command -> what the list of commands says; `vqcodec.cli.NAME` holds a click command NAME."""

_EXIT_CODES: Final = """

Exit codes: 0 done, 1 a bug of ours, 2 wrong usage, 3 a file (missing, unreadable, exists, no image,
disk full), 4 a damaged or foreign .vqc file, 5 the model pack (missing, another, broken), 6 the
machine (torch, device, memory, network), 130 interrupted. With several inputs: the highest.
"""


class Program(click.Group):
    """The group of commands, each imported when it is first needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"vqcodec.cli.{cmd_name}")
        command = getattr(module, cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse; this is where `--help` and `--version` write."""
        with console.guarded_stdout():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it raises is reported here, where `--debug` is still known."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            ctx.exit(FileError.exit_code)
        except Exception as error:
            ctx.exit(console.report(error))

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the program and leave with its exit code."""
        extra["prog_name"] = PROGRAM
        extra["standalone_mode"] = False
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A name that the locale cannot write is escaped, as Python does on stderr.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            code = super().main(*args, **extra)
        except click.UsageError as error:
            code = _report_usage(error)
        except (KeyboardInterrupt, click.Abort):
            click.echo(f"{PROGRAM}: interrupted", err=True)
            code = INTERRUPTED
        except Exception as error:
            code = console.report(error)
        sys.exit(code if isinstance(code, int) else 0)


def _report_usage(error: click.UsageError) -> int:
    """Print a usage error in the form of all others, with the help to read."""
    if error.message.startswith("Usage:"):  # a group without a command: the message is its help
        click.echo(error.message, err=True)
        return error.exit_code
    message = error.format_message().rstrip(".")
    path = error.ctx.command_path if error.ctx is not None else PROGRAM
    stop = "" if message.endswith("?") else "."
    text = f"{message[:1].lower()}{message[1:]}{stop} See '{path} --help'."
    click.echo(f"{PROGRAM}: error: {console.printable(text)}", err=True)
    return error.exit_code


def _show_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            program_version = version("vqcodec")
        except PackageNotFoundError:  # a source tree that was never installed
            program_version = "unknown"
        click.echo(f"{PROGRAM} {program_version} (format {FORMAT_VERSION})")
        context.exit()


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=examples(
        "vqcodec encode photo.png",
        "vqcodec decode photo.vqc -o seen.png",
        "curl -s URL | vqcodec decode - -o - | display -",
        "vqcodec COMMAND --help",
    )
    + _EXIT_CODES,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the versions of program and file format.",
)
def cli() -> None:
    """Photos in about 1 to 2 kB."""


main = cli
