"""A device with the collection's sources on it, each compiled once, and how a case is run there."""

from __future__ import annotations

import zlib

import numpy as np

import gon
from tests.kernels.case import Case, Source
from tests.kernels.collection import names_of
from tests.kernels.trial import ROUNDS, Trial


class Lab:
    """Runs cases on one device."""

    def __init__(self, device: gon.Device) -> None:
        self.device = device
        self._modules: dict[Source, gon.Module] = {}

    def module(self, source: Source) -> gon.Module:
        """Return the source compiled. Raises CompileError, Unsupported."""
        if source not in self._modules:
            self._modules[source] = self.device.compile(
                source.text,
                "cuda-c",
                source.options,
                name_expressions=names_of(source),
                headers=source.header_texts,
            )
        return self._modules[source]

    def run(self, case: Case) -> None:
        """Run a case. Raises AssertionError naming the round that went wrong."""
        module = self.module(case.source)
        launched: set[str] = set()
        for number in range(ROUNDS):
            rng = np.random.default_rng([zlib.crc32(case.name.encode()), number])
            trial = Trial(self.device, module, rng, number)
            try:
                case.run(trial)
            except AssertionError as error:
                raise AssertionError(f"{case.name}, round {number}: {error}") from error
            launched |= trial.launched
        assert launched == set(case.kernels), "a case launches the kernels it names"
