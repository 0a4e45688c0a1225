"""The calibrator of one direction: how it is taken out of the data, and how it is imaged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from factor.directions.model import Facet
from factor.execution.context import Context
from factor.observation.model import Chunk
from factor.operations.base import Field, Solutions
from factor.operations.calibration import solving
from factor.operations.calibration.plan import Resolution, SelfcalPlan
from factor.operations.calibration.solving import Data
from factor.operations.imaging.facets import (
    AUTO_MASK,
    AUTO_THRESHOLD,
    MAX_COMPONENTS,
    path_or_none,
    regions_of,
)
from factor.operations.visibilities.flagging import data_flags
from factor.operations.visibilities.passes import Extraction, extract
from factor.products.images.image import SkyGrid
from factor.products.images.masks import write_polygon_mask
from factor.products.solutions.imageweights import Weighting
from factor.tools.dp3 import ApplyCal
from factor.tools.wsclean import WSClean

#: Margin of the clean mask around the box whose sources are added back: a source whose
#: centre lies in the box may reach beyond it.
MASK_MARGIN_DEG = 30.0 / 3600.0


@dataclass(frozen=True)
class Calibrator:
    """The calibrator of one direction, ready to be taken out of the data."""

    context: Context
    field: Field
    facet: Facet
    plan: SelfcalPlan
    preapplied: Solutions | None

    @property
    def name(self) -> str:
        return self.facet.name

    @property
    def catalogue(self) -> Path | None:
        """The catalogue that starting models get their positions from."""
        return self.field.settings.calibration.astrometry_catalogue

    @property
    def target(self) -> solving.Target:
        """What is solved for."""
        direction, imaging = self.facet.direction, self.field.settings.imaging
        return solving.Target(
            context=self.context,
            name=self.name,
            position=(direction.ra_deg, direction.dec_deg),
            chunks=self.chunks,
            plan=self.plan.solve if self.preapplied is None else self.plan.solve.over_the_whole_band(),
            weighting=Weighting(
                self.plan.full.size,
                imaging.selfcal_cellsize_arcsec,
                imaging.selfcal_robust,
                imaging.selfcal_min_uv_lambda,
            ),
            settings=self.field.settings.calibration,
        )

    @property
    def most_loops(self) -> int:
        """Largest number of cycles with slow gains."""
        settings = self.field.settings.calibration
        return settings.target_max_selfcal_loops if self.facet.holds_target else settings.max_selfcal_loops

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        return self.field.observation.chunks

    def take_out(self) -> Data:
        """Extract the calibrator from every chunk: measurement sets by name of the chunk."""
        preapply: tuple[ApplyCal, ...] = ()
        if self.preapplied is not None:
            preapply = (ApplyCal(self.preapplied.filled, solving.phases_of(self.preapplied.soltabs)),)
        # Averages by baseline are written into copies of the data, row by row.
        compress = self.field.settings.globals.use_compression and not self.plan.solve.preaveraged
        how = Extraction(
            label="preapplied" if preapply else "calibrator",
            centre=(self.facet.direction.ra_deg, self.facet.direction.dec_deg),
            averaging=self.plan.solve_averaging,
            initial=self.field.calibrator_models(self.facet, self.context.products),
            correct=preapply,
            flags=data_flags(self.field.settings),
            compress=compress,
        )
        steps = {chunk.name: extract(self.context, chunk, how) for chunk in self.chunks}
        self.context.run(*(step for parts in steps.values() for step in parts))
        return {name: tuple(s.outputs[0] for s in parts) for name, parts in steps.items()}

    def middle_model(self) -> tuple[Path, ...]:
        """The calibrator's initial model of the middle band, if it has one there."""
        bands = self.field.observation.bands
        models = self.field.calibrator_models(self.facet, self.context.products)
        model = models.files[bands[len(bands) // 2].skymodel]
        return () if model is None else (model,)

    def middle_model_of_facet(self) -> Path | None:
        """The initial model of all its facet's sources in the middle band."""
        bands = self.field.observation.bands
        models = self.field.initial_models(self.facet, self.context.products)
        return models.files[bands[len(bands) // 2].skymodel]

    def resolution(self, number: int) -> Resolution:
        """The resolution of a cycle's image."""
        return self.plan.stages[number] if number < len(self.plan.stages) else self.plan.full

    def mask(self, resolution: Resolution) -> Path:
        """The clean mask: the inner part of the image, inside the facet."""
        taper = f".{resolution.taper_arcsec:.0f}arcsec" if resolution.taper_arcsec else ""
        path = self.context.scratch / f"calibrator{taper}.mask.fits"
        direction, size = self.facet.direction, resolution.size
        arguments = {
            "grid": SkyGrid(direction.ra_deg, direction.dec_deg, size, size, resolution.cellsize_arcsec),
            "width_deg": self.plan.inner_width_deg + 2.0 * MASK_MARGIN_DEG,
            "vertices": self.facet.vertices,
            "path": path,
            "region_file": path_or_none(direction.region_selfcal),
        }
        reads = regions_of(direction.region_selfcal)
        self.context.call(f"clean mask{taper}", write_polygon_mask, arguments, reads, (path,))
        return path

    def imaging(self, label: str, resolution: Resolution) -> WSClean:
        """Options of the image of one cycle."""
        options = self.field.settings.imaging
        return WSClean(
            name=self.context.scratch / f"{self.name}.wsclean_image{label}",
            size=resolution.size,
            scale_arcsec=resolution.cellsize_arcsec,
            taper_arcsec=resolution.taper_arcsec,
            robust=options.selfcal_robust,
            minuv_lambda=options.selfcal_min_uv_lambda,
            padding=options.wsclean_image_padding,
            channels_out=self.plan.channels_out,
            spectral_terms=self.plan.spectral_terms,
            niter=MAX_COMPONENTS,
            auto_mask=AUTO_MASK,
            auto_threshold=AUTO_THRESHOLD,
            multiscale=self.plan.multiscale,
            multiscale_scales=options.selfcal_multiscale_scales_pixel or (),
            fits_mask=self.mask(resolution),
            idg_mode=options.idg,
            save_source_list=True,
        )
