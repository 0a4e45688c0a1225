"""Archives that are not what they say: refused before anything is written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factor.archive.manifest import NAME, Entry, FileSum, Manifest, read_manifest, safe, write_manifest
from factor.archive.unarchive import unarchive
from factor.errors import FactorError, InputError

FILES = {
    "misc/factor.parset": ("[global]\ndir_working = /old\ndir_ms = /data\n", "factor.parset"),
    "state/facetsub/east.json": ('{"log": "/old/logs/x.log", "other": "/older"}', "state/facetsub/east.json"),
    "images/east/facetimage/a.fits": ("pixels", "results/facetimage/east/a.fits"),
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A tiny resumable archive."""
    folder = tmp_path / "archive"
    entries = []
    for name, (text, restores) in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        total = hashlib.sha256(text.encode()).hexdigest()
        entries.append(Entry(name, (FileSum("", len(text), total),), (restores,)))
    write_manifest(folder, Manifest("now", True, "/old", tuple(entries), parset="misc/factor.parset"))
    return folder


def restore(archive: Path, output: Path, **options: bool) -> None:
    unarchive(archive, output, **{"symlink": False, "clobber": False, **options})


def test_restored_with_its_paths(archive: Path, tmp_path: Path) -> None:
    """What named the old folder names the new one; folders whose names merely begin alike are left alone."""
    output = tmp_path / "new"
    restore(archive, output)
    assert (
        output / "factor.parset"
    ).read_text() == f"[global]\ndir_working = {output}\ndir_ms = {output}/chunks\n"
    state = json.loads((output / "state/facetsub/east.json").read_text())
    assert state == {"log": f"{output}/logs/x.log", "other": "/older"}
    restore(archive, output)
    (output / "results/facetimage/east/a.fits").write_text("others")
    with pytest.raises(FactorError, match="not those of the archive"):
        restore(archive, output)
    restore(archive, output, clobber=True)
    assert (output / "results/facetimage/east/a.fits").read_text() == "pixels"


def truncate(archive: Path) -> None:
    (archive / "images/east/facetimage/a.fits").write_text("pix")


def damage(archive: Path) -> None:
    (archive / "images/east/facetimage/a.fits").write_text("pixelz")


def lose(archive: Path) -> None:
    (archive / "images/east/facetimage/a.fits").unlink()


def link(archive: Path) -> None:
    path = archive / "images/east/facetimage/a.fits"
    path.rename(archive.parent / "secret")
    path.symlink_to(archive.parent / "secret")


def link_a_folder(archive: Path) -> None:
    os.rename(archive / "images", archive.parent / "images")  # noqa: PTH104
    (archive / "images").symlink_to(archive.parent / "images")


def interrupt(archive: Path) -> None:
    (archive / NAME).rename(archive / f".{NAME}.earlier")


def changed(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """A manifest that says something else."""

    def apply(archive: Path) -> None:
        content = json.loads((archive / NAME).read_text())
        change(content)
        (archive / NAME).write_text(json.dumps(content))

    return apply


def places(*paths: str) -> Callable[[Path], None]:
    return changed(lambda content: content["entries"][2].update(restores=list(paths)))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (truncate, "has 3 bytes, the manifest says 6"),
        (damage, "its checksum is not that of the manifest"),
        (lose, "no such file"),
        (link, "symbolic link"),
        (link_a_folder, "symbolic link"),
        (interrupt, "not a complete archive"),
        (changed(lambda c: c.update(version=2)), "has format 2"),
        (changed(lambda c: c.update(format="ALMA")), "not of an archive of Factor"),
        (changed(lambda c: c.update(resumable=False)), "made without -r"),
        (changed(lambda c: c.pop("entries")), "wrong or missing entry 'entries'"),
        (changed(lambda c: c["entries"][2].update(path="../secret")), "leads out of the archive"),
        (changed(lambda c: c["entries"][2]["files"][0].update(path="/etc/passwd")), "leads out of"),
        (changed(lambda c: c.update(options={"dir_ms": "../x"})), "leads out of the archive"),
        (places("results/../../x"), "leads out of the archive"),
        (places("/tmp/x"), "leads out of the archive"),
        (places("factor.lock"), "not a place of a run's files"),
        (places(".bashrc"), "not a place of a run's files"),
        (places("results/a/b", "results/a/b"), "several files to one place"),
        (places("results/a", "results/a/b"), "several files to one place"),
    ],
)  # fmt: skip
def test_refused(archive: Path, tmp_path: Path, harm: Callable[[Path], None], reason: str) -> None:
    """Damaged, foreign, newer, incomplete or hostile: the reason is told, and nothing is there."""
    harm(archive)
    with pytest.raises(InputError) as error:
        restore(archive, tmp_path / "new")
    assert reason in str(error.value)
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "secret").is_dir()


def test_too_little_space(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would not fit isn't begun."""
    from factor.archive import copying

    monkeypatch.setattr(copying.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(FactorError, match=r"are needed, 0\.01 kB are free"):
        restore(archive, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_manifest_is_read_back(archive: Path) -> None:
    """What is written is what is read, and plain paths are safe."""
    manifest = read_manifest(archive)
    assert {entry.path: entry.restores[0] for entry in manifest.entries} == {
        n: r for n, (_, r) in FILES.items()
    }
    assert safe("a/b.ms/table.dat") == "a/b.ms/table.dat"
