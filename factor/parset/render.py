"""The documentation of the parset and the example parset, made from the schema."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factor.parset.option import Kind, Option, Section
from factor.parset.schema import INIT_SKYMODEL, RETIRED_OPTIONS, SECTIONS

_WIDTH = 90


def default_text(option: Option) -> str:
    """The default of an option as documentation shows it."""
    if option.required:
        return "required"
    return option.default_text or _as_text(option.default)


def _as_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e-3 else str(value)


# -- documentation ------------------------------------------------------------------


def documentation() -> str:
    """Text of ``docs/parset.rst``."""
    lines = [_INTRODUCTION]
    for section in SECTIONS:
        lines += _section_documentation(section)
    lines += ["", "``[<MS name>]``", "---------------", "", _MS_SECTION, ""]
    lines += [".. glossary::", "", *_option_documentation(INIT_SKYMODEL, "    ")]
    lines += ["", _OLD_NAMES_HEAD, ""]
    for section in SECTIONS:
        for option in section.options:
            lines += [f"* ``{old}`` is now :term:`{option.name}`" for old in option.old_names]
    lines += ["", _RETIRED + ", ".join(f"``{name}``" for name in RETIRED_OPTIONS) + "."]
    return "\n".join(lines) + "\n"


def _section_documentation(section: Section) -> list[str]:
    title = f"``[{section.name}]``"
    lines = ["", f".. _parset_{section.name}:", "", title, "-" * len(title), "", section.help, ""]
    lines.append(".. glossary::")
    for option in section.options:
        lines += ["", *_option_documentation(option, "    ")]
    return lines


def _option_documentation(option: Option, indent: str = "") -> list[str]:
    facts = [_kind_text(option)]
    if option.limits:
        facts.append(option.limits)
    default = default_text(option)
    facts.append(default if option.required else f"default: {default}")
    body = option.help
    if option.example:
        body += f" Example: ``{option.name} = {option.example}``."
    if not option.implemented:
        body += " *Not available yet: only the default is accepted.*"
    inner = indent + "    "
    return [
        indent + option.name,
        *textwrap.wrap(f"({'; '.join(facts)})", _WIDTH, initial_indent=inner, subsequent_indent=inner),
        "",
        *textwrap.wrap(body, _WIDTH, initial_indent=inner, subsequent_indent=inner),
    ]


def _kind_text(option: Option) -> str:
    return option.kind.value + (f", in {option.unit}" if option.unit else "")


_INTRODUCTION = """\
.. This page is made from factor/parset/schema.py by "python -m factor.parset.render".

.. _factor_parset:

The parset
==========

A parset is a text file that describes a run: options with their values, in sections. Most
options have good defaults; this is a whole parset:

.. code-block:: ini

    [global]
    dir_working = /data/field/factor
    dir_ms = /data/field/bands

    [directions]
    flux_min_Jy = 0.3
    size_max_arcmin = 2.0
    separation_max_arcmin = 9.0

``examples/factor.parset`` lists every option with its default, ready to be edited.

* Upper and lower case do not matter in names of options. Comments start with ``#``.
* An empty value, or ``None``, means the default.
* Relative paths start in the folder in which the command is given.
* Flux densities are apparent ones, as the data show them: attenuated by the primary beam.
* Everything is checked before anything runs, and all problems are told at once. Options
  and sections with unknown names are warned about, with the nearest valid name; with
  :term:`strict` they are errors.
* An option marked as not available yet is refused unless it has its default value: Factor
  never ignores what a parset asks for."""

_MS_SECTION = (
    "A section named after a measurement set (without its folder) says where the sky model of\n"
    "its band is."
)

_OLD_NAMES_HEAD = """\
Parsets of the first Factor
---------------------------

Old names are understood, with a note:"""

_RETIRED = (
    "Some options are accepted, with a note that they have no effect any more: the value\n"
    "``JUROPA_slurm`` of :term:`clusterdesc_file`, and "
)


# -- example ------------------------------------------------------------------------


def example() -> str:
    """Text of ``examples/factor.parset``."""
    lines = [
        "# A parset for Factor with every option that has its effect in this version.",
        "# Options that are commented out show their defaults (or a typical value).",
    ]
    for section in SECTIONS:
        options = [option for option in section.options if option.implemented]
        if options:
            lines += ["", "", f"[{section.name}]"]
        for option in options:
            lines += ["", *_option_example(option)]
    lines += [
        "",
        "",
        "# Where the sky model of a band is not found beside its measurement set:",
        "#[L123456_SB000.ms]",
        f"#{INIT_SKYMODEL.name} = /data/field/models/SB000.merge",
    ]
    return "\n".join(lines) + "\n"


def _option_example(option: Option) -> list[str]:
    default = default_text(option)
    facts = f"({_kind_text(option)}; {'' if default.startswith('required') else 'default: '}{default})"
    text = f"{option.help} {facts}".replace("``", "")
    lines = textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    given = option.required or option.default_text.startswith("required")
    shown = _example_value(option) if option.default is None else default_text(option)
    return [*lines, f"{'' if given else '#'}{option.name} = {shown}"]


def _example_value(option: Option) -> str:
    if option.kind is Kind.SCALES:
        return option.default_text
    if option.kind is Kind.FLOATS:
        return option.example.strip("[]").split(",")[0]
    return option.example


def main(argv: Sequence[str] | None = None) -> int:
    """Write the documentation and the example parset into a checkout."""
    parser = argparse.ArgumentParser(description="Write docs/parset.rst and examples/factor.parset")
    parser.add_argument("checkout", type=Path, nargs="?", default=Path())
    checkout = parser.parse_args(argv).checkout
    (checkout / "docs" / "parset.rst").write_text(documentation())
    (checkout / "examples" / "factor.parset").write_text(example())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
