"""The field from its options to its files, step by step."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulation import beam, effects, outlier, tools
from simulation import measurementset as msets
from simulation.geometry import Sky, choose_stations, local_axes, unit_vectors
from simulation.options import BAND_WIDTH_HZ, FieldOptions
from simulation.sky import REFERENCE_HZ, Source, draw_sources, write_patches, write_skymodel

Array = NDArray[np.float64]
Say = Callable[[str], None]

SUBTRACTED = "SUBTRACTED_DATA_ALL"
_BEAM_TIMES = 7
_STATION_OFF_FRACTION = 0.15
_CHANNEL_FLAG_SHARE = 0.3


@dataclass(frozen=True)
class Paths:
    """Where everything of a field lies."""

    root: Path

    @property
    def marker(self) -> Path:
        """Written last: the options of a field that is complete."""
        return self.root / "complete.json"

    @property
    def truth(self) -> Path:
        return self.root / "truth"

    @property
    def skymodel(self) -> Path:
        return self.truth / "sky.skymodel"

    @property
    def effects(self) -> Path:
        return self.truth / "effects.h5"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    def ms(self, band: str) -> Path:
        return self.root / "ms" / f"{band}.ms"

    def ideal_ms(self, band: str) -> Path:
        return self.root / "ideal" / f"{band}.ms"

    @property
    def without_outlier(self) -> Path:
        """The affected data before the source outside the field was put into them."""
        return self.root / "without_outlier"

    @property
    def outlier_model(self) -> Path:
        """True flux densities of the source outside the field."""
        return self.root / "ms" / "outlier.skymodel"

    @property
    def outliers(self) -> Path:
        """Its row for Factor's ``outliers_file``."""
        return self.root / "outliers.txt"

    def clear(self) -> None:
        """Remove what a simulation makes, and nothing else."""
        self.marker.unlink(missing_ok=True)
        self.outliers.unlink(missing_ok=True)
        for name in ("ms", "ideal", "limit", "truth", "scratch", "without_outlier"):
            shutil.rmtree(self.root / name, ignore_errors=True)


def build(options: FieldOptions, paths: Paths, say: Say) -> None:
    """Make a field in an empty folder."""
    for folder in ("ms", "ideal", "truth", "scratch"):
        (paths.root / folder).mkdir(parents=True)
    workers = max(1, min(os.cpu_count() or 1, len(options.band_names)))
    started = time.monotonic()
    observed, sky, sources = _observe(options)
    say(f"{len(observed.stations)} stations, {len(observed.times_s)} slots, {len(sources)} sources, "
        f"longest baseline {_longest_m(observed) / 1e3:.1f} km")
    flags = _make_sets(options, paths, observed)
    say(f"{len(flags)} measurement sets, {np.mean([f.mean() for f in flags]):.1%} flagged")
    apparent = _apparent_fluxes(options, paths, observed, sources)
    sources, apparent = _brighten(options, sources, apparent)
    write_skymodel(paths.skymodel, sources)
    say("primary beam towards the sources")
    _write_effects(options, paths, observed, sky, sources, apparent)
    say("ionosphere and gains")
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda i: _fill_band(options, paths, i), range(len(options.band_names))))
    say("visibilities, affected and ideal")
    patches = _initial_subtraction(options, paths, workers)
    say(f"initial model of {patches} patches, subtracted")
    _write_ideal_models(options, paths, apparent)
    far = _add_outlier(options, paths, observed, sky, workers)
    truth = _truth(options, observed, sources, apparent, flags)
    truth["outlier"] = None if far is None else dataclasses.asdict(far)
    (paths.truth / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    shutil.rmtree(paths.scratch)
    draft = paths.marker.with_suffix(".draft")
    draft.write_text(json.dumps(options.as_json(), indent=1) + "\n")
    draft.replace(paths.marker)
    say(f"complete after {time.monotonic() - started:.0f} s")


def _observe(options: FieldOptions) -> tuple[msets.Observed, Sky, list[Source]]:
    stations = choose_stations(options.stations, options.max_baseline_km)
    positions = np.array([s.position for s in stations])
    ra, dec = np.radians([options.ra_deg, options.dec_deg])
    middle = next((s for s in stations if s.name.startswith("CS002")), stations[0])
    sky = Sky(middle.position, float(ra), float(dec))
    centre_s = sky.time_of_hour_angle(options.hour_angle_h)
    steps = np.arange(options.n_times) - (options.n_times - 1) / 2
    times_s = np.round(centre_s) + steps * options.interval_s
    observed = msets.Observed(
        tuple(stations), float(ra), float(dec), options.name, times_s, options.interval_s,
        sky.station_uvw(times_s, positions),
    )
    return observed, sky, draw_sources(options)


def _longest_m(observed: msets.Observed) -> float:
    first, second = observed.pairs
    positions = np.array([s.position for s in observed.stations])
    return float(np.linalg.norm(positions[first] - positions[second], axis=1).max())


def make_flags(options: FieldOptions, band: int, observed: msets.Observed) -> NDArray[np.bool_]:
    """Flags of one band, shape (rows, channels): at random, and one station away for a while."""
    common, own = options.random("flags"), options.random("flags", band + 1)
    shape = (len(observed.times_s), observed.n_baselines, options.channels)
    flags = own.random(shape) < options.flagged * _CHANNEL_FLAG_SHARE
    flags |= own.random(shape[:2])[..., None] < options.flagged * (1 - _CHANNEL_FLAG_SHARE)
    if options.flagged > 0:
        station = common.integers(len(observed.stations))
        length = int(_STATION_OFF_FRACTION * shape[0])
        start = common.integers(max(1, shape[0] - length))
        first, second = observed.pairs
        flags[start : start + length, (first == station) | (second == station)] = True
    return flags.reshape(-1, options.channels)


def _make_sets(options: FieldOptions, paths: Paths, observed: msets.Observed
               ) -> list[NDArray[np.bool_]]:
    all_flags = []
    for i, (band, middle) in enumerate(zip(options.band_names, options.band_middles_hz, strict=True)):
        flags = make_flags(options, i, observed)
        for path in (paths.ms(band), paths.ideal_ms(band)):
            msets.make_ms(path, observed, options.channel_freqs_hz(middle), flags)
        all_flags.append(flags)
    return all_flags


def _apparent_fluxes(options: FieldOptions, paths: Paths, observed: msets.Observed,
                     sources: Sequence[Source]) -> list[list[Source]]:
    """For each band the sources as they appear in it: flux at its middle, apparent spectrum."""
    positions = np.radians([(s.ra_deg, s.dec_deg) for s in sources])
    centre = (observed.ra_rad, observed.dec_rad)
    picks = np.linspace(0, len(observed.times_s) - 1, _BEAM_TIMES).round().astype(int)
    times_s = observed.times_s[picks]
    apparent = []
    for band, middle in zip(options.band_names, options.band_middles_hz, strict=True):
        freqs = (middle - 0.25 * BAND_WIDTH_HZ, middle + 0.25 * BAND_WIDTH_HZ)
        low, high = (
            beam.mean_beam_power(paths.ms(band), times_s, f, centre, positions) for f in freqs
        )
        slopes = np.log(high / low) / np.log(freqs[1] / freqs[0])
        powers = low * (middle / freqs[0]) ** slopes
        apparent.append([
            replace(s, flux_jy=float(s.flux_at(middle) * p),
                    spectral_index=float(s.spectral_index + a))
            for s, p, a in zip(sources, powers, slopes, strict=True)
        ])
    return apparent


def _write_effects(options: FieldOptions, paths: Paths, observed: msets.Observed, sky: Sky,
                   sources: Sequence[Source], apparent: list[list[Source]]) -> None:
    positions = np.radians([(s.ra_deg, s.dec_deg) for s in sources])
    to_local = local_axes(sky.position)
    towards = unit_vectors(positions[:, 0], positions[:, 1])
    rotations = to_local @ sky.rotations(observed.times_s)
    enu = np.array([to_local @ (s.position - sky.position) for s in observed.stations])
    made = effects.make_effects(
        options, observed.times_s,
        np.concatenate([options.channel_freqs_hz(f) for f in options.band_middles_hz]),
        enu, np.einsum("tij,dj->tdi", rotations, towards),
        np.mean([[s.flux_jy for s in band] for band in apparent], axis=0),
    )
    effects.write_h5parm(
        paths.effects, made, [(s.name, s.position) for s in observed.stations],
        [(s.name, float(ra), float(dec)) for s, (ra, dec) in zip(sources, positions, strict=True)],
    )


def noise_per_part_jy(options: FieldOptions) -> float:
    """Noise of the real (or imaginary) part of one visibility, from the radiometer equation."""
    return options.sefd_jy / float(np.sqrt(2 * options.interval_s * options.channel_width_hz))


def _fill_band(options: FieldOptions, paths: Paths, index: int) -> None:
    band = options.band_names[index]
    log = paths.scratch / f"{band}.log"
    tools.predict_sky(paths.ms(band), paths.skymodel, paths.effects, log)
    tools.predict_sky(paths.ideal_ms(band), paths.skymodel, None, log)
    rng = options.random("noise", index)
    shape = (options.n_times * options.stations * (options.stations - 1) // 2, options.channels, 8)
    noise = rng.standard_normal(shape, dtype=np.float32).view(np.complex64)
    noise *= np.float32(noise_per_part_jy(options))
    for path in (paths.ms(band), paths.ideal_ms(band)):
        msets.write_column(path, "DATA", msets.read_column(path, "DATA") + noise)
    msets.add_column(paths.ideal_ms(band), SUBTRACTED)
    msets.write_column(paths.ideal_ms(band), SUBTRACTED, noise)


def _initial_subtraction(options: FieldOptions, paths: Paths, workers: int) -> int:
    sets = [paths.ms(band) for band in options.band_names]
    # DP3 opens sky models under this name only.
    model, joined = paths.scratch / "initial.skymodel", paths.scratch / "initial-sources.txt"
    for ms in sets:
        msets.add_column(ms, SUBTRACTED)

    def subtract(ms: Path) -> None:
        tools.subtract_apparent(ms, model, SUBTRACTED, paths.scratch / f"{ms.stem}.log")

    lists: list[Path] = []
    patches = 0
    for image in tools.INITIAL_IMAGES:
        prefix = paths.scratch / image.name
        lists.append(tools.image_components(sets, image, prefix, options.radius_deg, workers))
        tools.join_components(lists, joined)
        patches = write_patches(joined, [model, *(ms.with_suffix(".merge") for ms in sets)])
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(subtract, sets))
    return patches


def _write_ideal_models(
    options: FieldOptions, paths: Paths, apparent: list[list[Source]]
) -> None:
    for band, middle, seen in zip(
        options.band_names, options.band_middles_hz, apparent, strict=True
    ):
        write_skymodel(paths.ideal_ms(band).with_suffix(".merge"), seen, middle)


def _brighten(
    options: FieldOptions, sources: list[Source], apparent: list[list[Source]]
) -> tuple[list[Source], list[list[Source]]]:
    """Give the apparently brightest source the flux density that is asked for."""
    if options.bright_jy == 0:
        return sources, apparent
    fluxes = np.mean([[s.flux_jy for s in band] for band in apparent], axis=0)
    brightest = int(np.argmax(fluxes))
    factor = float(options.bright_jy / fluxes[brightest])

    def brightened(those: list[Source]) -> list[Source]:
        return [
            replace(s, flux_jy=s.flux_jy * factor) if i == brightest else s for i, s in enumerate(those)
        ]

    return brightened(sources), [brightened(band) for band in apparent]


def _add_outlier(
    options: FieldOptions, paths: Paths, observed: msets.Observed, sky: Sky, workers: int
) -> Source | None:
    """Put the outlier into the data, after the initial subtraction: that knows nothing of it."""
    if options.outlier_jy == 0:
        return None
    # What nothing direction-dependent corrects is held against the result; it need not have it.
    shutil.copytree(paths.ms(options.band_names[0]).parent, paths.without_outlier)
    sets = [paths.ms(band) for band in options.band_names]
    source = outlier.place_outlier(options, sets[0], observed)
    outlier.write_outlier_row(options, source, paths.outlier_model, paths.outliers)
    corruption = paths.truth / "outlier_effects.h5"
    outlier.write_outlier_effects(options, observed, sky, source, corruption)
    outlier.add_outlier(sets, SUBTRACTED, (paths.outlier_model, corruption), paths.scratch, workers)
    return source


def _truth(options: FieldOptions, observed: msets.Observed,
           sources: Sequence[Source], apparent: list[list[Source]],
           flags: list[NDArray[np.bool_]]) -> dict[str, object]:
    n_good = sum(int((~f).sum()) for f in flags)
    return {
        "options": options.as_json(),
        "seed": options.seed,
        "ra_deg": options.ra_deg,
        "dec_deg": options.dec_deg,
        "freqs_hz": list(options.band_middles_hz),
        "bands": list(options.band_names),
        "channel_freqs_hz": [options.channel_freqs_hz(f).tolist() for f in options.band_middles_hz],
        "start_mjd_s": float(observed.times_s[0] - options.interval_s / 2),
        "end_mjd_s": float(observed.times_s[-1] + options.interval_s / 2),
        "stations": [s.name for s in observed.stations],
        "longest_baseline_m": _longest_m(observed),
        "flagged_fraction": float(np.mean([f.mean() for f in flags])),
        "visibility_noise_jy": noise_per_part_jy(options),
        # Stokes I from XX and YY of every unflagged visibility, all of the same weight.
        "natural_noise_jy": noise_per_part_jy(options) / float(np.sqrt(2 * n_good)),
        "sources": [
            {
                "name": s.name, "ra_deg": s.ra_deg, "dec_deg": s.dec_deg, "flux_jy": s.flux_jy,
                "reference_freq_hz": REFERENCE_HZ, "spectral_index": s.spectral_index,
                "major_arcsec": s.major_arcsec, "minor_arcsec": s.minor_arcsec,
                "angle_deg": s.angle_deg,
                "apparent_flux_jy": [band[i].flux_jy for band in apparent],
                "apparent_spectral_index": [band[i].spectral_index for band in apparent],
            }
            for i, s in enumerate(sources)
        ],
    }
