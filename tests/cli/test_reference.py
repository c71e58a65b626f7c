"""docs/CLI.md, the list of commands and the help texts say what the parser does."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from vqcodec.cli.console import Console
from vqcodec.cli.main import COMMANDS, cli
from vqcodec.cli.reference import render


def commands(command: click.Command, name: str) -> dict[str, click.Command]:
    """A command and all below it, by what is typed."""
    found = {name: command}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for inner in command.list_commands(context):
            found |= commands(command.get_command(context, inner), f"{name} {inner}")
    return found


ALL = commands(cli, "vqcodec")


def test_the_document_is_what_the_parser_says(root: Path) -> None:
    document = (root / "docs" / "CLI.md").read_text(encoding="utf-8")
    assert document == render(), "run: python -m vqcodec.cli.reference > docs/CLI.md"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
def test_the_list_of_commands_says_what_each_says(name: str) -> None:
    assert (ALL[f"vqcodec {name}"].help or "").startswith(COMMANDS[name].rstrip("."))


@pytest.mark.parametrize("path", [path for path in ALL if " train" not in path])
def test_every_help_has_an_example_and_a_word_for_every_option(path: str) -> None:
    command = ALL[path]
    assert command.help
    assert command.epilog
    assert "Example" in command.epilog
    assert path in command.epilog or path == "vqcodec"
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or getattr(parameter, "help", None)
    result = CliRunner().invoke(cli, [*path.split()[1:], "-h"])
    assert result.exit_code == 0
    assert result.stderr == ""


def test_options_keep_one_meaning() -> None:
    names: dict[str, str] = {}
    for path, command in ALL.items():
        if " train" in path:
            continue
        for option in (one for one in command.params if isinstance(one, click.Option)):
            for name in option.opts:
                assert names.setdefault(name, option.name or "") == option.name
            assert any(name.startswith("--") for name in option.opts)


def test_the_version_names_program_and_format() -> None:
    try:
        number = version("vqcodec")
    except PackageNotFoundError:
        number = "unknown"
    assert CliRunner().invoke(cli, ["--version"]).stdout == f"vqcodec {number} (format 1)\n"


def test_without_a_command_the_help_is_shown() -> None:
    result = CliRunner().invoke(cli, [])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == CliRunner().invoke(cli, ["--help"]).stdout


class Terminal:
    """A stderr that says it is a terminal."""

    def __init__(self, stream: object) -> None:
        self.stream = stream

    def isatty(self) -> bool:
        return True

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


def test_progress_shows_on_a_terminal_and_only_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with Console().progress("a.png") as progress:
        assert progress is None  # stderr is no terminal here
    monkeypatch.setattr(sys, "stderr", Terminal(sys.stderr))
    with Console(is_quiet=True).progress("a.png") as progress:
        assert progress is None
    with Console().progress("a.png") as progress:
        progress(1, 9)
        assert capsys.readouterr().err == ""
        now[0] = 2.0
        progress(2, 9)
        assert capsys.readouterr().err == "\ra.png: 2 of 9 tiles"
    assert capsys.readouterr().err == "\r" + " " * 19 + "\r"
