"""Handwritten digits on a device: classified by their nearest neighbours among known ones."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

import gon
from gon.errors import InvalidArgument
from gon_client.demo.arrays import Bytes

NEIGHBOURS = 5
CLASSES = 10
_BLOCK = 64


class Classifier:
    """The known samples on one device, and the kernel that compares others with them.

    The samples are uploaded once, here; queries come by `upload`.
    """

    def __init__(
        self,
        device: gon.Device,
        stream: gon.Stream,
        samples: Bytes,
        labels: Bytes,
        queries: int,
        neighbours: int = NEIGHBOURS,
    ) -> None:
        known, features = samples.shape
        if known < neighbours:
            raise InvalidArgument(f"{known} samples cannot have {neighbours} neighbours")
        source = (files("gon_client.demo") / "kernels" / "digits.cu").read_text("utf-8")
        options = f"-DFEATURES={features} -DNEIGHBOURS={neighbours} -DCLASSES={CLASSES}"
        self._nearest = device.compile(source, "cuda-c", options).get_kernel("nearest")
        self._stream = stream
        self._samples = device.asarray(samples)
        self._labels = device.asarray(labels)
        self._queries = device.empty((queries, features), np.uint8)
        self._classes = device.empty(queries, np.uint8)
        self._distances = device.empty((queries, neighbours), np.int32)
        self._tile_bytes = _BLOCK * features

    def __repr__(self) -> str:
        return f"Classifier({len(self._queries)} queries, {len(self._samples)} samples)"

    def upload(self, queries: Bytes) -> None:
        """Send the digits to classify: a row of brightnesses each."""
        self._queries.set(queries, stream=self._stream)

    def classify(self) -> None:
        """Queue the classification of all queries."""
        queries = len(self._queries)
        gon.launch(
            self._stream,
            gon.LaunchConfig(-(-queries // _BLOCK), _BLOCK, self._tile_bytes),
            self._nearest,
            *(self._samples, self._labels, len(self._samples)),
            *(self._queries, queries, self._classes, self._distances),
        )

    def read(
        self, classes: Bytes, distances: NDArray[np.int32]
    ) -> tuple[gon.ReadFuture, gon.ReadFuture]:
        """Queue the reads of each query's class, and of its neighbours' squared distances, nearest
        first.
        """
        return (
            self._classes.get_async(classes, stream=self._stream),
            self._distances.get_async(distances, stream=self._stream),
        )
