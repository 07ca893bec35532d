"""A run of a flow: from data in its place to outputs in theirs.

    InPlace ─▶ stage ─▶ … ─▶ stage ─▶ result, sides, lengths

Rules: nothing is written but to the outputs given; a run that fails has wiped all it wrote, and
says no length but 0. That the data is not what a key or a checksum says is told before anything
that a stage found wrong with it, also if that was found earlier: who may not read a text learns
nothing about it from how it fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never, cast

import numpy as np
from numpy.typing import NDArray

from gon.errors import GonError, IntegrityError, LimitExceeded
from gon.flow import (
    Checksum,
    Compress,
    Decompress,
    Decrypt,
    Encrypt,
    Flow,
    Scan,
    Stage,
    Verify,
)
from gon.flow_limits import FLOW_DATA_BYTES_MAX
from gon.flow_shape import has_result
from gon_server.engines.dpu.aes_gcm import Decrypting, Encrypting
from gon_server.engines.dpu.deflate import Deflate, Inflate
from gon_server.engines.dpu.digests import Summing, Verifying
from gon_server.engines.dpu.lz4_frames import Lz4, Unlz4
from gon_server.engines.dpu.reader import Bounded, InPlace, Reader
from gon_server.engines.dpu.scan_driver import ScanDatabase
from gon_server.engines.dpu.scanning import Scanning
from gon_server.engines.dpu.zstd import Unzstd, Zstd


class Outputs(NamedTuple):
    """Where a run writes. `result` is of no bytes where the flow has none; `sides` has one for each
    of `gon.flow_shape.sides`, in its shape.
    """

    result: memoryview
    lengths: NDArray[np.uint64]
    sides: tuple[NDArray[np.uint8] | NDArray[np.uint64], ...]


class Run:
    """One run. Its stages live no longer than it does."""

    def __init__(
        self,
        flow: Flow,
        databases: Sequence[ScanDatabase],
        data: memoryview,
        values: Mapping[str, bytes],
        outputs: Outputs,
    ) -> None:
        """`databases` are those of the stages that scan, `values` are the arguments by their names.

        Raises LimitExceeded.
        """
        if data.nbytes > FLOW_DATA_BYTES_MAX:
            raise LimitExceeded(f"data of {data.nbytes} bytes; at most {FLOW_DATA_BYTES_MAX}")
        self._flow = flow
        self._databases = iter(databases)
        self._values = values
        self._outputs = outputs
        self._written_bytes = 0
        # What each stage is, in their order; those that give a side, those that know whether the
        # data is what it should be.
        self._giving: list[Summing | Scanning] = []
        self._trusting: list[Decrypting | Verifying] = []
        reader: Reader = InPlace(data, flow.chunk_bytes)
        for stage in flow.stages:
            reader = self._add(stage, reader)
        self._last = reader

    def __repr__(self) -> str:
        return f"Run({len(self._flow.stages)} stages, {self._written_bytes} bytes written)"

    def run(self) -> None:
        """Pull everything through. Raises CorruptData, IntegrityError, LimitExceeded."""
        try:
            if has_result(self._flow):
                self._fill()
            else:
                while len(self._last.read(self._flow.chunk_bytes)):
                    pass
            self._tell()
        except BaseException as error:
            untrue = self._find_untrue() if isinstance(error, GonError) else None
            self._wipe()
            if untrue is not None:
                raise untrue from None
            raise

    def _fill(self) -> None:
        result, chunk_bytes = self._outputs.result, self._flow.chunk_bytes
        most = len(result)
        while (at := self._written_bytes) < most:
            # No more than a chunk at a time, so that what is to be wiped is known.
            size = self._last.read_into(result[at : at + chunk_bytes])
            if not size:
                return
            self._written_bytes += size
        if len(self._last.read(1)):
            raise LimitExceeded(f"more comes out than the {most} bytes that the output has")

    def _tell(self) -> None:
        """Write what there is beside the result."""
        lengths = self._outputs.lengths
        lengths[0] = self._written_bytes
        for place, (stage, side) in enumerate(zip(self._giving, self._outputs.sides, strict=True)):
            if isinstance(stage, Summing):
                side[:] = np.frombuffer(stage.result, np.uint8)
                lengths[place + 1] = len(stage.result)
            else:
                lengths[place + 1] = stage.count

    def _wipe(self) -> None:
        """Leave nothing of what a run that fails has written. The stage that failed may have
        written where its bytes were to lie, a chunk of them at most.
        """
        for stage in self._giving:
            if isinstance(stage, Scanning):
                stage.close()
        most = self._written_bytes + self._flow.chunk_bytes
        np.frombuffer(self._outputs.result[:most], np.uint8)[:] = 0
        for numbers in (self._outputs.lengths, *self._outputs.sides):
            numbers[:] = 0

    def _find_untrue(self) -> IntegrityError | None:
        """Return what a run that failed would have told at its end: pull what has not been."""
        for stage in self._trusting:
            try:
                while len(stage.read(self._flow.chunk_bytes)):
                    pass
            except IntegrityError as error:
                return error
            except GonError:
                # What is wrong before that stage has been told, and is all there is to tell.
                return None
        return None

    def _add(self, stage: Stage, source: Reader) -> Reader:
        """Return a stage that pulls from `source`."""
        match stage:
            case Compress() | Decompress():
                return _codec(stage, source)
            case Encrypt(key=key, nonce=nonce):
                return Encrypting(source, self._values[key], self._values[nonce])
            case Decrypt(key=key, nonce=nonce):
                decrypting = Decrypting(source, self._values[key], self._values[nonce])
                self._trusting.append(decrypting)
                return decrypting
            case Verify(digest=digest, expected=expected):
                verifying = Verifying(source, digest, self._values[expected])
                self._trusting.append(verifying)
                return verifying
            case Checksum(digest=digest):
                return self._give(Summing(source, digest))
            case Scan():
                places = cast("NDArray[np.uint64]", self._outputs.sides[len(self._giving)])
                return self._give(Scanning(source, next(self._databases), places))
        assert_never(stage)

    def _give(self, stage: Summing | Scanning) -> Reader:
        self._giving.append(stage)
        return stage


def _codec(stage: Compress | Decompress, source: Reader) -> Reader:
    match stage:
        case Compress(codec="zstd", level=level):
            return Zstd(source, level)
        case Compress(codec="lz4", level=level):
            return Lz4(source, level)
        case Compress(codec=codec, level=level):
            return Deflate(source, codec, level)
        case Decompress(codec="zstd"):
            reader: Reader = Unzstd(source)
        case Decompress(codec="lz4"):
            reader = Unlz4(source)
        case Decompress(codec=codec):
            reader = Inflate(source, codec)
    return Bounded(reader, stage.limit_bytes, f"decompress {stage.codec}")
