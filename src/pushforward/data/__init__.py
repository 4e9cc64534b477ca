"""Real data for density estimation, and samples of known densities."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pushforward.data.base import Dataset, Split, TableOptions, table
from pushforward.data.benchmark_tables import BENCHMARK_TABLES
from pushforward.data.binary_images import BINARY_IMAGES
from pushforward.data.cifar import cifar10_patches
from pushforward.data.embedded import EMBEDDED
from pushforward.data.faces import frey_faces
from pushforward.data.images import IMAGES, image_file, is_image_file
from pushforward.data.streams import stays_on_disk, streamed
from pushforward.data.tables import READERS, TextFormat, read_table, suffix_of
from pushforward.data.text import brief
from pushforward.data.toys import TOYS
from pushforward.data.windows import Windows
from pushforward.errors import UserError, nearest

DATASETS: dict[str, Callable[..., Dataset]] = {
    **TOYS,
    **EMBEDDED,
    **BENCHMARK_TABLES,
    **IMAGES,
    **BINARY_IMAGES,
    "frey-faces": frey_faces,
    "cifar10-patches": cifar10_patches,
}


def load(
    source: str,
    *,
    seed: int = 0,
    validation: float = 0.1,
    test: float = 0.1,
    size: int | None = None,
    options: TableOptions | None = None,
) -> Dataset:
    """The data set called `source`, one of `DATASETS`, or the table in the file of that name, divided at random.

    A file ends in .csv, .tsv (.gz too), .npy, .npz (one array, or one called x, data or samples) or .parquet; an
    .npy of three or four axes holds images, unsigned bytes. Tables of more than 128 MiB in .npy and .parquet files stay
    on disk, and are seen through `Windows`. `docs/data.md` says what is read, refused and warned of.

    Args:
        source: the name, or the path of a file.
        seed: of the division, of samples and of patches.
        validation: fraction of the rows; of the official training set, where there is one; without effect where there
            is an official validation set.
        test: fraction of the rows; without effect where there is an official test set.
        size: rows to draw of a known density, 12,500 unless given; it cannot be given for real data.
        options: what of a user's table is used, and how it is read; only for files.

    Raises:
        UserError: there is no such data set or file, a setting is out of range, or the file cannot be used.
    """
    split = Split(seed, validation, test)
    options = options or TableOptions()
    is_file = source not in TOYS and source not in DATASETS
    if not is_file and replace(options, heavy_tails=False, allow_degenerate=False) != TableOptions():
        raise UserError(f"columns, rows and the form of a text can be chosen for a file, not for {brief(source)}")
    if source in TOYS:
        return TOYS[source](split, size)
    if size is not None:
        raise UserError(f"size is for samples of a known density; {brief(source)} is read as it is")
    if source in DATASETS:
        return DATASETS[source](split)
    path = Path(source)
    if suffix_of(path) not in READERS and not os.path.exists(source):
        raise UserError(f"unknown data set {brief(source)}{nearest(source, DATASETS)}; a file is {' '.join(READERS)}")
    if is_image_file(path):
        if options.stream == "yes":
            raise UserError(f"{path.name} holds images, which are read whole: leave --stream yes out")
        return image_file(path, split)
    if stays_on_disk(path, options):
        return streamed(path, split, options)
    return table(path.name, read_table(path, options.text, options.words), split, options)


__all__ = ["DATASETS", "Dataset", "TableOptions", "TextFormat", "Windows", "load"]


def __dir__() -> list[str]:
    return __all__
