"""What other packages give to the demo, typed: the photograph and the digits they ship, and the
references they compute.

Rules: nothing is downloaded; what a package does not ship is an error that names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from gon.errors import InvalidArgument, Unsupported
from gon_client.demo.arrays import Bytes, Counts, Reals

PHOTOGRAPH = "astronaut.png"
# A brightness of the digits' 8 by 8 pixels is at most this.
BRIGHTNESS_MAX = 16


@dataclass(frozen=True, slots=True)
class Digits:
    """Handwritten digits: those a classifier learns from, and those it is asked about.

    Samples and queries have a row of `side`² brightnesses each, labels and answers are 0 to 9.
    """

    samples: Bytes
    labels: Bytes
    queries: Bytes
    answers: Bytes

    @property
    def side(self) -> int:
        """Pixels along each side of a digit."""
        return int(np.sqrt(self.samples.shape[1]))


class _Datasets(Protocol):
    def load_digits(self, *, return_X_y: bool) -> tuple[Reals, Counts]: ...  # noqa: N803


class _Classifier(Protocol):
    def fit(self, samples: Reals, labels: Bytes) -> object: ...
    def predict(self, queries: Reals) -> Bytes: ...


class _Neighbors(Protocol):
    # The name is the package's.
    def KNeighborsClassifier(self, k: int, /, *, metric: str) -> _Classifier: ...  # noqa: N802


class _Metrics(Protocol):
    def euclidean_distances(self, queries: Reals, samples: Reals, *, squared: bool) -> Reals: ...


class _Ndimage(Protocol):
    def gaussian_filter1d(self, picture: Reals, sigma: float, *, axis: int, mode: str) -> Reals: ...
    def sobel(self, picture: Reals, *, axis: int, mode: str) -> Reals: ...
    def histogram(self, picture: Bytes, low: int, high: int, bins: int) -> Counts: ...


# Found at once, so that what is not installed is missed before anything has begun.
_datasets = cast("_Datasets", import_module("sklearn.datasets"))
_metrics = cast("_Metrics", import_module("sklearn.metrics.pairwise"))
_neighbors = cast("_Neighbors", import_module("sklearn.neighbors"))
_ndimage = cast("_Ndimage", import_module("scipy.ndimage"))
_pictures = files("skimage") / "data"


def load_photograph(path: Path | None = None) -> Bytes:
    """Return a photograph as height × width × 3 bytes: the file's, or the one scikit-image ships.

    Raises InvalidArgument for a file that is no picture, Unsupported if the package ships none.
    """
    if path is not None:
        return _read(path)
    shipped = _pictures / PHOTOGRAPH
    if not isinstance(shipped, Path) or not shipped.is_file():
        raise Unsupported(
            f"the installed scikit-image does not ship data/{PHOTOGRAPH}; "
            "reinstall it, or name a picture of your own"
        )
    return _read(shipped)


def _read(path: Path) -> Bytes:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError) as error:
        raise InvalidArgument(f"{path} cannot be read as a picture: {error}") from error


def load_digits() -> Digits:
    """Return the digits scikit-learn ships: the first half to learn from, the second to ask about.

    Raises Unsupported if the package does not ship them.
    """
    try:
        pixels, numbers = _datasets.load_digits(return_X_y=True)
    except OSError as error:
        raise Unsupported(f"the installed scikit-learn does not ship the digits: {error}") from None
    known = len(pixels) // 2
    images, labels = pixels.astype(np.uint8), numbers.astype(np.uint8)
    return Digits(images[:known], labels[:known], images[known:], labels[known:])


def scipy_blur(picture: Bytes, sigma: float) -> Reals:
    """Return the picture (height × width × channels) after SciPy's Gaussian along both axes."""
    along_rows = _ndimage.gaussian_filter1d(
        picture.astype(np.float64), sigma, axis=1, mode="reflect"
    )
    return _ndimage.gaussian_filter1d(along_rows, sigma, axis=0, mode="reflect")


def scipy_gradient(grey: Bytes) -> Reals:
    """Return the length of SciPy's Sobel gradient."""
    real = grey.astype(np.float64)
    across, down = (_ndimage.sobel(real, axis=axis, mode="reflect") for axis in (1, 0))
    return np.hypot(across, down)


def scipy_histogram(grey: Bytes) -> Counts:
    """Return how often each of the 256 levels occurs."""
    return _ndimage.histogram(grey, 0, 256, 256).astype(np.int64)


def sklearn_distances(queries: Bytes, samples: Bytes) -> Reals:
    """Return the squared distance of each query (row) to each sample (column), whole numbers."""
    real_queries, real_samples = queries.astype(np.float64), samples.astype(np.float64)
    return np.rint(_metrics.euclidean_distances(real_queries, real_samples, squared=True))


def sklearn_classes(distances: Reals, labels: Bytes, neighbours: int) -> Bytes:
    """Return the class of each query by its distances to all samples, from scikit-learn's
    KNeighborsClassifier.

    The classifier leaves open which of several equally near samples counts; here it is the one with
    the lower index, as in the kernel: whole distances are made distinct by it, in the same order.
    """
    known = len(labels)
    distinct = distances * known + np.arange(known)
    classifier = _neighbors.KNeighborsClassifier(neighbours, metric="precomputed")
    # A precomputed metric learns the labels alone; the distances among the samples are not used.
    classifier.fit(np.zeros((known, known)), labels)
    return classifier.predict(distinct)
