"""README.txt of an archive: every file with its use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from factor.archive.contents import FOLDERS
from factor.archive.copying import in_words
from factor.archive.manifest import Entry, Manifest

NAME = "README.txt"

_USES = {
    "pbcor": "corrected for the primary beam: measure flux densities here",
    "pbcut": "even noise, not corrected for the primary beam: find sources here",
    "pb": "the primary beam (divide an apparent flux density by it)",
    "facets": "which facet each pixel comes from, and whose solutions it has",
    "apparent": "one facet, apparent flux densities (not corrected for the primary beam)",
}

#: Of images that calibration made, by the endings of their names; the last is that of all others.
_CALIBRATION_USES = {
    "pre-image": "residual of the whole field in the middle band, before the new model is subtracted",
    "post-image": "residual of the whole field in the middle band, after the new model is subtracted",
    "image_full": "the facet with part of the bandwidth, for its new model",
    "": "the calibrator in a cycle of its self-calibration",
}

_DATA = """\
Calibrated data
---------------

calibrated_data/<direction>/<direction>_calibrated_data_chunk<n>.ms (with -d, or restored) has the
visibilities of one direction and one chunk of time: all bands as one spectral window, not
compressed, column DATA, averaged as for the facet's image, phase centre in the middle of the facet. They
are corrected with the facet's solutions, and hold the sources of that facet alone: all others are
subtracted. They are corrected for the beam at the field's phase centre only, not for the primary beam:
flux densities that are measured in them are apparent. Image all chunks of a direction together.
"""

_SCRIPTS = """\
Programs
--------

They need Factor, DP3 and WSClean in the versions above; they say which differ. All that they make goes
to a folder of its own: this archive is only read. Begun again after an interruption, they go on.

  script/restore_calibrated <input data> <output> -d <directions or all>

restores calibrated data as described below, without solving: the input is cut and flagged as it was,
the sources of all directions are subtracted with their solutions (instrument_tables/, sky_models/),
then each direction asked for is added back and corrected.

  script/reimage <output> -d <directions or all> [-i <output of restore_calibrated>]

images these directions again from calibrated data (this archive's, without -i) with the options of the
run, in every set of imaging parameters; with all, the mosaics too.

  script/rerun <input data> <output>

runs Factor again with the parset and the directions of misc/.

The input data are the measurement sets from which the run began, together in one folder:
"""

_RESUMABLE = """\
Going on with the run
---------------------

  unarchivefactor <this folder> <new folder>
  runfactor <new folder>/factor.parset

Every path in parset, directions and state is rewritten; the input data are not needed. With -s the
visibilities that never change are linked to this archive instead of being copied.
"""

_BASIC = """\
This archive was made without -r: the run can't be resumed from it.
"""

_NEW_RUN = """\
A new run without the original data: give chunks/ as dir_ms in the parset.
"""


def readme(field: str, manifest: Manifest, inputs: Sequence[str]) -> str:
    """The text of the README.

    Parameters
    ----------
    field : str
        Name of the field.
    manifest : Manifest
        What the archive holds.
    inputs : sequence of str
        The measurement sets from which the run began.
    """
    title = f"{field}: archive of a run of Factor"
    parts = [
        f"{title}\n{'=' * len(title)}\n",
        f"Made {manifest.created} from {manifest.dir_working}.\n",
        "Versions: " + ", ".join(f"{tool} {version}" for tool, version in manifest.versions.items()) + "\n",
        _folders(manifest.entries),
        _images(manifest),
    ]
    parts += [_SCRIPTS + "".join(f"  {name}\n" for name in inputs), _DATA]
    parts += [_RESUMABLE if manifest.resumable else _BASIC]
    parts += [_NEW_RUN] if manifest.resumable else []
    parts += [_files(manifest.entries)]
    return "\n".join(parts)


def _heading(text: str) -> str:
    return f"{text}\n{'-' * len(text)}\n\n"


def _folders(entries: Sequence[Entry]) -> str:
    sizes: dict[str, int] = {}
    for entry in entries:
        folder = entry.path.partition("/")[0]
        sizes[folder] = sizes.get(folder, 0) + entry.size
    lines = [
        f"{name}/ ({in_words(sizes[name])})\n    {use}\n" for name, use in FOLDERS.items() if name in sizes
    ]
    lines.append(
        "MANIFEST.json\n    sizes, SHA-256 checksums, tool versions, Factor's own name of every file\n"
    )
    return _heading("Folders") + "".join(lines)


def _images(manifest: Manifest) -> str:
    """The images, mosaics first: name, use, Factor's own name."""
    text = _heading("Images") + (
        "Names are <field>_<direction>_<frequency>_<imaging set>_<type>. In an imaging set, c is the pixel\n"
        "size in arcsec, r robust, t the taper in arcsec, u the shortest baseline in wavelengths.\n\n"
    )
    for path, own in sorted(
        manifest.images.items(), key=lambda item: ("/fieldmosaic" not in item[0], item[0])
    ):
        text += f"{path}\n    {_use(PurePosixPath(path))}; in the run: {own}\n"
    return text


def _use(image: PurePosixPath) -> str:
    if image.parent.name.partition("_")[0] in ("facetimage", "fieldmosaic"):
        return _USES.get(image.stem.rpartition("_")[2], "apparent flux densities")
    use = next(use for ending, use in _CALIBRATION_USES.items() if image.stem.endswith(ending))
    return f"{use}; apparent flux densities"


def _files(entries: Sequence[Entry]) -> str:
    lines = [f"{entry.path}  {in_words(entry.size)}\n" for entry in sorted(entries, key=lambda e: e.path)]
    return _heading("All files") + "".join(lines)
