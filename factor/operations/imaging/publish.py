"""Images as products: copied out of the scratch folder under their names, with a picture."""

from __future__ import annotations

from pathlib import Path

from factor.directions.model import Facet
from factor.execution.context import Context
from factor.tools.versions import factor_version


def publish_image(context: Context, image: Path, facet: Facet, name: str = "") -> Path:
    """Copy an image into the products and make its PNG.

    Parameters
    ----------
    context : Context
        Of the operation whose product it is.
    image : Path
        WSClean's image.
    facet : Facet
        Its outline is drawn.
    name : str
        Name of the product without ``.fits``; WSClean's prefix when empty.

    Returns
    -------
    Path
        The FITS file among the products.
    """
    stem = name or image.name.removesuffix("-image.fits").removesuffix("-MFS")
    product = context.products / f"{stem}.fits"
    arguments = {
        "image": image,
        "product": product,
        "picture": product.with_suffix(".png"),
        "facet": facet.name,
        "vertices": facet.vertices,
        "title": f"{facet.name}: {stem.removeprefix(facet.name).strip('.')}",
    }
    outputs = (product, product.with_suffix(".png"))
    context.call(f"publish {stem}", write_product, arguments, (image,), outputs)
    return product


def write_product(
    image: Path,
    product: Path,
    picture: Path,
    facet: str,
    vertices: tuple[tuple[float, float], ...],
    title: str,
) -> None:
    """Copy an image with Factor's name in its header, and draw it."""
    from factor.products.images.image import read_image, write_image
    from factor.products.images.plot import plot_image

    checked = read_image(image)
    header = checked.header.copy()
    header["ORIGIN"] = (f"Factor {factor_version()}", "facet calibration of LOFAR data")
    header["FACET"] = (facet, "direction of the facet")
    write_image(product, checked.data, header)
    plot_image(checked, picture, outline=vertices, title=title)
