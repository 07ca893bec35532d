"""All of the demo's work on one device: each stage uploads its input, computes, reads its results.

Rules: a stage posts everything and waits once, at its end; the same code runs wherever the device
is. Judges no result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import gon
from gon_client.demo.arrays import Bytes
from gon_client.demo.digits import NEIGHBOURS, Classifier
from gon_client.demo.packages import Digits
from gon_client.demo.pictures import Pictures
from gon_client.demo.record import Stage


@dataclass(frozen=True, slots=True)
class Results:
    """What the stages have computed, each None where its stage was not run.

    `blurred` is height × width × 3, `edges` and `equalised` are height × width; `classes` holds a
    number for each query, `distances` the squared distances of its neighbours, nearest first.
    """

    blurred: Bytes | None = None
    edges: Bytes | None = None
    equalised: Bytes | None = None
    classes: Bytes | None = None
    distances: NDArray[np.int32] | None = None


class Workbench:
    """One device, everything compiled and allocated for one photograph and one set of digits."""

    def __init__(self, device: gon.Device, photograph: Bytes, digits: Digits) -> None:
        height, width, _channels = photograph.shape
        asked = len(digits.queries)
        stream = device.create_stream()
        self._photograph = photograph
        self._digits = digits
        self._pictures = Pictures(device, stream, height, width)
        self._classifier = Classifier(device, stream, digits.samples, digits.labels, asked)
        # Where results are received; made once, so that no run pays for fresh pages.
        self._planes = np.zeros((5, height, width), np.uint8)
        self._classes = np.zeros(asked, np.uint8)
        self._distances = np.zeros((asked, NEIGHBOURS), np.int32)

    def __repr__(self) -> str:
        return f"Workbench({self._pictures!r}, {self._classifier!r})"

    def clear(self) -> None:
        """Forget earlier results, so that none can pass for a new one."""
        for kept in (self._planes, self._classes, self._distances):
            kept.fill(0)

    def run(self, stage: Stage) -> None:
        """Do a stage: post all of it, then wait for its results. Raises LeaseLost."""
        for future in self._post(stage):
            # Without a limit: whoever waits in the runtime of a device in this process computes
            # along, and a wait with a limit cannot (half the speed on two cores). The kernels end,
            # and a lost host ends the wait when its grace is over.
            future.result()

    def results(self, stage: Stage) -> Results:
        """Return what the last run of `stage` brought; valid until the next run."""
        height, width = self._planes.shape[1:]
        blurred = self._planes[:3].reshape(height, width, 3)
        match stage:
            case Stage.BLUR:
                return Results(blurred=blurred)
            case Stage.SOBEL:
                return Results(edges=self._planes[3])
            case Stage.EQUALISE:
                return Results(equalised=self._planes[4])
            case Stage.NEIGHBOURS:
                return Results(classes=self._classes, distances=self._distances)
            case Stage.TOGETHER:
                planes = self._planes
                return Results(blurred, planes[3], planes[4], self._classes, self._distances)

    def _post(self, stage: Stage) -> list[gon.ReadFuture]:
        pictures, classifier = self._pictures, self._classifier
        match stage:
            case Stage.BLUR:
                pictures.upload(self._photograph)
                pictures.blur()
                return [pictures.read(self._planes, slice(0, 3))]
            case Stage.SOBEL:
                pictures.upload(self._photograph)
                pictures.grey()
                pictures.sobel()
                return [pictures.read(self._planes, slice(3, 4))]
            case Stage.EQUALISE:
                pictures.upload(self._photograph)
                pictures.grey()
                pictures.equalise()
                return [pictures.read(self._planes, slice(4, 5))]
            case Stage.NEIGHBOURS:
                classifier.upload(self._digits.queries)
                classifier.classify()
                return [*classifier.read(self._classes, self._distances)]
            case Stage.TOGETHER:
                classifier.upload(self._digits.queries)
                pictures.upload(self._photograph)
                classifier.classify()
                pictures.blur()
                pictures.grey()
                pictures.sobel()
                pictures.equalise()
                return [
                    *classifier.read(self._classes, self._distances),
                    pictures.read(self._planes, slice(0, 5)),
                ]
