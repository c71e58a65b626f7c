"""`docs/CLI.md` from the parser: `python -m vqcodec.cli.reference > docs/CLI.md`; a test compares.

Texts of options live with the options; here are only the frame and the meaning of JSON fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from vqcodec.cli.main import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# The command line

Made from the parser by `python -m vqcodec.cli.reference > docs/CLI.md`; do not edit.

## What holds for every command

- stdout carries only what was asked for: a picture or a file with `-o -`, lines of `info`, `verify`
  and `models`, or with `--json` one object per input per line. All else goes to stderr.
- One line per file on stderr says what was done; `-q` silences it, `-v` says more. A progress line
  shows only on a terminal and only for long work.
- Outputs that exist are refused; `-f` overwrites them and means nothing else. An output appears
  whole or not at all.
- `-` stands for stdin and stdout. Binary data is never written to a terminal. `--` ends the
  options.
- A failure is one line, `vqcodec: error: PLACE: FACT. REMEDY`; `--debug` adds the traceback. With
  several inputs the command goes on and ends with the highest code.
- `VQCODEC_MODELS` lists folders of model packs, separated as in PATH; it is the only environment
  variable.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a bug of ours |
| 2 | wrong usage |
| 3 | a file: missing, unreadable, exists, not an image, too large, disk full |
| 4 | a `.vqc` file that is damaged, foreign or above the limits |
| 5 | a model pack that is missing, not the right one or broken |
| 6 | the machine: torch and onnxruntime, a device, memory or the network is missing or refuses |
| 130 | interrupted; nothing half-written is left |
"""

_JSON_HEAD = """\
## JSON

Every object begins with its `schema`; within one schema number, fields are only added.
"""

_FILE: Final = {
    "path": "the input, `stdin` for `-`",
    "output": "the output",
    "width_px": "of the picture",
    "height_px": "of the picture",
    "model": "name of the model pack",
    "weights_id": "of the pack, four hexadecimal digits",
    "tier": "1 to 12",
    "codebook_size": "codewords of the tier",
    "coding": "`fixed`, `table` or `context`",
    "size_bytes": "of the `.vqc` file",
    "bpp": "8 * size_bytes / (width_px * height_px)",
}
_PACK: Final = {
    "name": "of the pack",
    "path": "its folder",
    "is_default": "taken without `--model`",
    "summary": "one line",
    "licence": "of the weights",
    "weights_id": "four hexadecimal digits",
    "weights_sha256": "of `weights.safetensors`",
    "weights_size_bytes": "of `weights.safetensors`",
    "default_tier": "taken without `--tier`",
    "tiers": "list of `{tier, codebook_size}`",
    "compressed_from": "name of the pack whose files a compressed pack reads and writes, or null",
}
JSON_FIELDS: Final[dict[str, dict[str, str]]] = {
    "vqcodec.encode/1": {
        **_FILE,
        "n_packets": "data packets",
        "n_parity": "parity packets",
        "backend": "what ran the networks, `torch` or `onnx`",
        "seconds": "spent on this file",
        "notes": "what was decided for the user, a list of sentences",
    },
    "vqcodec.decode/1": {
        **_FILE,
        "image_bytes": "size of the image file",
        "is_whole": "whether nothing is missing, damaged, there twice or foreign",
        "losses": "`{n_packets, n_rebuilt, missing, n_damaged, n_foreign_bytes, n_indices, "
        "n_erased}`: data packets, those that parity gave back, those that stay lost (a list); "
        "damaged places; indices of the picture, and those that are guess",
        "restorer": "what stands in for lost indices, null where none are lost",
        "erasure_map": "as given, or null",
        "backend": "what ran the networks, `torch` or `onnx`",
        "seconds": "spent on this file",
    },
    "vqcodec.info/1": {
        "path": "the input, `stdin` for `-`",
        "format_version": "of the file",
        "width_px": "of the picture",
        "height_px": "of the picture",
        "tier": "1 to 12",
        "codebook_size": "codewords of the tier",
        "stride": "pixels per index along an axis, 16 or 8",
        "weights_id": "four hexadecimal digits",
        "model": "name of the pack if its id is registered, else null",
        "coding": "`fixed`, `table` or `context`",
        "n_packets": "data packets that the file should have",
        "n_parity": "parity packets that it should have, as those that are there say",
        "size_bytes": "of the file",
        "bpp": "8 * size_bytes / (width_px * height_px)",
        "header_bytes": "everything but payloads",
        "packets": "list of `{index, offset, size_bytes, num_indices, checksum_ok}`",
        "is_damaged": "whether anything is missing, damaged, there twice or foreign",
        "n_intact": "data packets that are intact",
        "n_parity_intact": "parity packets that are intact",
        "missing": "data packets of which no intact copy is there, a list",
        "foreign_bytes": "bytes that belong to no packet",
    },
    "vqcodec.verify/1": {
        "path": "the input, `stdin` for `-`",
        "is_intact": "whether nothing was found",
        "with_pixels": "whether the picture was decoded too",
        "findings": "list of sentences",
    },
    "vqcodec.impair/1": {
        "path": "the input, `stdin` for `-`",
        "output": "the output",
        "n_packets": "packets that went in, parity included",
        "lost": "places of the lost ones in the file, from 0",
        "n_flips": "bits flipped in what is left",
        "size_bytes": "of the output",
        "loss": "as given",
        "model": "of the losses, as given",
        "burst": "mean length of a burst in packets, null with `iid`",
        "bit_errors": "as given",
        "seed": "as given",
    },
    "vqcodec.send/1": {
        "path": "the input, `stdin` for `-`",
        "to": "where to",
        "n_packets": "packets sent, parity included",
        "size_bytes": "of all datagrams, without the network's own heads",
    },
    "vqcodec.receive/1": {
        "path": "the address that it listened at",
        "output": "the output",
        "n_packets": "data packets that the file should have",
        "received": "indices of the packets that came; those from `n_packets` on are parity",
        "n_foreign": "intact packets of another file, left out",
        "n_damaged": "datagrams that were no intact packet, left out",
        "n_repeated": "packets that came again, left out",
        "size_bytes": "of the output",
    },
    "vqcodec.view/1": {
        "path": "the input, `stdin` for `-`, null without one",
        "url": "address of the page",
    },
    "vqcodec.models.list/1": _PACK,
    "vqcodec.models.show/1": {
        **_PACK,
        "stride": "pixels per index along an axis",
        "net_kind": "`light` or `taming`",
        "net_config": "arguments of the network",
        "context_tiers": "tiers that have a context model (coding mode context)",
        "restorer": "`{sha256, size_bytes}` of `restorer.safetensors`, null without one",
        "training": "how it was trained, free keys",
        "quality": "what it measures, free keys",
    },
    "vqcodec.models.check/1": {**_PACK, "is_intact": "always true: a broken pack is a failure"},
    "vqcodec.models.path/1": {"name": "of the pack", "path": "its folder"},
    "vqcodec.models.import/1": {**_PACK, "stride": "pixels per index along an axis"},
    "vqcodec.models.compress/1": {**_PACK, "of": "name of the pack that it was made from"},
    "vqcodec.models.export/1": {
        **_PACK,
        "output": "the folder",
        "files": "size in bytes by file name",
    },
}
"""Schema -> field -> meaning, besides `schema` itself. Within a number, fields are only added."""


def render() -> str:
    """Return the whole document."""
    context = _context(cli, "vqcodec", None)
    parts = [_HEAD, _help_of(context)]
    for name in cli.list_commands(context):
        parts.extend(_sections(name, context))
    parts.append(_JSON_HEAD)
    for schema, fields in JSON_FIELDS.items():
        rows = "\n".join(f"| `{field}` | {meaning} |" for field, meaning in fields.items())
        parts.append(f"### {schema}\n\n| field | meaning |\n|---|---|\n{rows}\n")
    return "\n".join(parts)


def _sections(name: str, parent: click.Context) -> Iterator[str]:
    group = parent.command
    command = group.get_command(parent, name) if isinstance(group, click.Group) else None
    if command is None:
        return
    context = _context(command, name, parent)
    yield _help_of(context)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _sections(inner, context)


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    """Make the context that a help text needs, with a width that follows no terminal."""
    return click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=80,
        help_option_names=["-h", "--help"],
    )


def _help_of(context: click.Context) -> str:
    level = "##" if context.parent is None or context.parent.parent is None else "###"
    return f"{level} {context.command_path}\n\n```text\n{context.get_help()}\n```\n"


if __name__ == "__main__":
    click.echo(render(), nl=False)
