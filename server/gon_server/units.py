"""The book of units: what this host exports, and how many slices of each are free.

Rules: pure; a slice belongs to at most one lease; what is taken is given back exactly once. `plan`
turns what was found on the host and what its owner wrote down into units.
Must not know: drivers, workers, leases, clocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from gon.errors import ConfigError, LeaseRefused
from gon.model import UnitInfo
from gon.personalities import GPU as PERSONALITY
from gon.personalities import Personality
from gon_server.config import Settings, UnitSettings
from gon_server.engines.choice import NO_RULES, EngineRules
from gon_server.offers import FoundEngine, check_rules, known_personalities, offers_of
from gon_server.walls import NO_WALLS, Walls

GPU = "gpu"
ACCELERATOR = "accelerator"
EAGPHPU = "eagphpu"
CPU = "cpu"

# Which unit is best when the client names none: real GPUs, then the general software-defined unit;
# other accelerators often take only programs made for them.
_RANK = {GPU: 0, EAGPHPU: 1, ACCELERATOR: 2}
_PREFIX = {GPU: "gpu", ACCELERATOR: "acc"}

# The OpenCL runtimes that turn the host's CPU into a unit, the preferred one first.
_CPU_RUNTIMES = {"x86_64": ("Intel", "Portable"), "": ("Portable", "Intel")}

# The address of what software there is (gon_server.devices.opencl).
_ANY_CPU = "opencl:"

_GIB = 1 << 30
_NO_WALLS = "walls are required, and hardware has none around engines"


class Found(msgspec.Struct, frozen=True):
    """A device that is there, by `address` ("backend:rest"); `kind` is gpu, accelerator or cpu.

    `in_place` says whether its buffers were seen to be the host's own memory. `error` says why it
    could not be opened; the other fields are then unknown.
    """

    address: str
    kind: str = ""
    name: str = ""
    vendor: str = ""
    memory_bytes: int = 0
    formats: tuple[str, ...] = ()
    error: str = ""
    in_place: bool = False

    def is_software(self, label: str) -> bool:
        """Return whether kernels run on the host's processor. Its owner's `label` says it only of
        what does not tell. An accelerator in the host's memory is an emulator.
        """
        if self.kind in _PREFIX and self.address != _ANY_CPU:
            return self.kind == ACCELERATOR and self.in_place
        return self.kind == CPU or self.address == _ANY_CPU or label == EAGPHPU


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """One unit as it is set up: the device below it, its shares, and the workers kept for it.

    `formats` are those of kernels; `may_be` the personalities that it may be loaded to be,
    `engines` what runs the other formats, by the site's `rules`; `withheld` are personalities that
    it does not offer, each with the reason; `walls` stand around its workers. `in_place` says
    whether engines work on its buffers or on copies, `software` whether kernels run on the host's
    processor.
    """

    id: str
    kind: str
    name: str
    device: str
    formats: tuple[str, ...]
    memory_bytes: int
    slices: int
    warm: int
    cpus: tuple[int, ...] = ()
    personality: str = PERSONALITY
    may_be: tuple[Personality, ...] = (Personality(PERSONALITY, kernels=True),)
    engines: tuple[str, ...] = ()
    rules: EngineRules = NO_RULES
    withheld: tuple[tuple[str, str], ...] = ()
    walls: Walls = NO_WALLS
    in_place: bool = False
    software: bool = False

    @property
    def engine_formats(self) -> tuple[str, ...]:
        """What engines run here."""
        return tuple(dict.fromkeys(each for kind in self.may_be for each in kind.formats))

    @property
    def personalities(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.may_be)

    @property
    def all_formats(self) -> tuple[str, ...]:
        """What programs of any personality are."""
        return tuple(dict.fromkeys((*self.formats, *self.engine_formats)))

    @property
    def slice_bytes(self) -> int:
        return self.memory_bytes // self.slices

    def copies_for(self, wanted: Sequence[str]) -> bool:
        """Return whether engines of such personalities would work on copies of its buffers."""
        return not self.in_place and any(x.formats for x in self.may_be if x.name in wanted)


@dataclass(frozen=True, slots=True)
class Share:
    """Slices taken from a unit, and the memory they come with. `personalities` are what they may
    be, the first one now; empty for a gpu and nothing else.
    """

    unit: str
    personality: str
    slices: int
    memory_bytes: int
    personalities: tuple[str, ...] = ()


class UnitBook:
    """Knows each unit's free slices; takes and gives them back."""

    def __init__(self, specs: Iterable[UnitSpec]) -> None:
        self._specs = {spec.id: spec for spec in specs}
        self._free = {spec.id: spec.slices for spec in self._specs.values()}

    def __repr__(self) -> str:
        free = ", ".join(f"{unit} {free} free" for unit, free in self._free.items())
        return f"UnitBook({free})"

    def describe(self) -> tuple[UnitInfo, ...]:
        """Return every unit as clients see it."""
        return tuple(
            UnitInfo(
                id=spec.id,
                kind=spec.kind,
                name=spec.name,
                personality=spec.personality,
                personalities=spec.personalities,
                formats=spec.all_formats,
                memory_bytes=spec.memory_bytes,
                slices=spec.slices,
                slices_free=self._free[spec.id],
                engines=spec.engines,
                walls=str(spec.walls),
            )
            for spec in self._specs.values()
        )

    def take(
        self, unit: str, personality: str, memory_bytes: int, others: Sequence[str] = ()
    ) -> Share:
        """Take the slices that `memory_bytes` need (at least one) from `unit`, "" for the best one,
        as `personality`, "" for the first of `others`, which they may be changed to.

        Raises LeaseRefused, which says what there is instead.
        """
        wanted = tuple(dict.fromkeys((*((personality,) if personality else ()), *others)))
        spec = self._named(unit, wanted) if unit else self._best(wanted, memory_bytes)
        need = _slices_for(spec, memory_bytes)
        self._require(spec, need, memory_bytes)
        self._free[spec.id] -= need
        now = wanted[0] if wanted else spec.personality
        may_be = () if wanted in ((), (PERSONALITY,)) else wanted
        return Share(spec.id, now, need, need * spec.slice_bytes, may_be)

    def personalities(self, share: Share) -> tuple[Personality, ...]:
        """Return what the slices may be, the first one now; nothing for a gpu of kernels only."""
        known = {each.name: each for each in self._specs[share.unit].may_be}
        may_be = tuple(known[name] for name in share.personalities or (share.personality,))
        return may_be if share.personalities or may_be[0].formats else ()

    def give_back(self, share: Share) -> None:
        """Free the slices of `share`."""
        self._free[share.unit] += share.slices
        assert self._free[share.unit] <= self._specs[share.unit].slices, "given back twice"

    def _named(self, unit: str, wanted: Sequence[str]) -> UnitSpec:
        spec = self._specs.get(unit)
        if spec is None:
            there = ", ".join(self._specs) or "none"
            raise LeaseRefused(f"there is no unit {unit!r}; the units of this host: {there}")
        for personality in wanted:
            if personality not in spec.personalities:
                offers = ", ".join(spec.personalities)
                why = _why_withheld((spec,), (personality,))
                raise LeaseRefused(
                    f"unit {unit} offers {offers}, not personality {personality!r}{why}"
                )
        return spec

    def _best(self, wanted: Sequence[str], memory_bytes: int) -> UnitSpec:
        able = [spec for spec in self._specs.values() if set(wanted) <= set(spec.personalities)]
        if not able:
            names = ", ".join(map(repr, wanted))
            why = _why_withheld(self._specs.values(), wanted)
            each = [name for spec in self._specs.values() for name in spec.personalities]
            offered = ", ".join(dict.fromkeys(each))
            raise LeaseRefused(
                f"no unit of this host offers personality {names}{why}; offered are: {offered}"
            )
        fits = [spec for spec in able if _slices_for(spec, memory_bytes) <= self._free[spec.id]]
        if not fits:
            free = "; ".join(self._free_text(spec) for spec in able)
            raise LeaseRefused(f"no unit has {_wanted(memory_bytes)} free: {free}")
        return min(fits, key=lambda spec: self._rank(spec, wanted))

    def _rank(self, spec: UnitSpec, wanted: Sequence[str]) -> tuple[bool, int, float]:
        free = self._free[spec.id] / spec.slices
        return spec.copies_for(wanted), _RANK.get(spec.kind, 3), -free

    def _require(self, spec: UnitSpec, need: int, memory_bytes: int) -> None:
        if need > spec.slices:
            raise LeaseRefused(
                f"{memory_bytes} bytes are more than the whole of unit {spec.id}, "
                f"{spec.memory_bytes} bytes"
            )
        if need > self._free[spec.id]:
            raise LeaseRefused(f"{_wanted(memory_bytes)} cannot be had: {self._free_text(spec)}")

    def _free_text(self, spec: UnitSpec) -> str:
        free = self._free[spec.id]
        gib = free * spec.slice_bytes / _GIB
        return f"unit {spec.id} has {free} of {spec.slices} slices ({gib:.2f} GiB) free"


def plan(
    settings: Settings,
    found: Sequence[Found],
    host_memory_bytes: int,
    machine: str,
    engines: Sequence[FoundEngine] = (),
    walls: Walls = NO_WALLS,
) -> tuple[UnitSpec, ...]:
    """Return the units of this host: those its owner names, then those found on it.

    Every GPU and accelerator becomes a unit, and one CPU runtime the software-defined one. `found`
    also describes the devices of the named units; `walls` are those that software-defined units
    get. Raises ConfigError if there is none at all.
    """
    known = {each.address: each for each in found}
    share_bytes = int(host_memory_bytes * settings.memory_share)
    specs = {
        name: _named_spec(name, wanted, known.get(wanted.device), settings, share_bytes)
        for name, wanted in settings.units.items()
    }
    if settings.discover:
        taken = {wanted.device for wanted in settings.units.values()}
        for spec in _found_specs(found, settings, share_bytes, machine):
            if spec.device not in taken and spec.id not in specs:
                specs[spec.id] = spec
    if not specs:
        raise ConfigError(
            "there is no unit to export: no OpenCL device was found and none is configured; "
            'pip install "gon[soft]" gives a software-defined one'
        )
    for spec in specs.values():
        if not spec.slice_bytes:
            raise ConfigError(
                f"unit {spec.id} has {spec.memory_bytes} bytes of memory for {spec.slices} slices"
            )
    may_be = known_personalities(settings.personalities)
    check_rules(settings.engine_rules(), engines)
    walled = (_with_walls(spec, walls, settings.walls) for spec in specs.values())
    return tuple(_with_offers(spec, may_be, engines, settings) for spec in walled)


def _with_walls(spec: UnitSpec, walls: Walls, setting: str) -> UnitSpec:
    """Put walls around a software-defined unit; raise ConfigError where they are required and
    hardware has engines run on the host.
    """
    if not spec.software and setting == "required" and (spec.in_place or spec.kind == EAGPHPU):
        raise ConfigError(
            f"walls are required; unit {spec.id} is hardware, which has none, but its memory is "
            "the host's, where engines run for it"
        )
    return replace(spec, walls=walls) if spec.software else spec


def _with_offers(
    spec: UnitSpec,
    known: Sequence[Personality],
    engines: Sequence[FoundEngine],
    settings: Settings,
) -> UnitSpec:
    rules = settings.engine_rules(spec.id)
    # What the site wants it must be able to have; what one unit forbids, another may still want.
    check_rules(EngineRules(forbidden=rules.forbidden), engines)
    wanted = tuple(each for each in rules.chosen if not rules.why_not(*each))
    kept = EngineRules(wanted, rules.forbidden)
    in_place = spec.in_place or spec.software
    barred = "" if spec.software or settings.walls != "required" else _NO_WALLS
    offers = offers_of(known, engines, kept, in_place=in_place, barred=barred)
    return replace(spec, in_place=in_place, rules=kept, **offers._asdict())


def _found_specs(
    found: Sequence[Found], settings: Settings, share_bytes: int, machine: str
) -> list[UnitSpec]:
    usable = _without_twins([each for each in found if not each.error])
    specs: list[UnitSpec] = []
    for kind, prefix in _PREFIX.items():
        devices = [each for each in usable if each.kind == kind]
        specs += [
            _spec(f"{prefix}{index}", kind, device, device.memory_bytes, settings)
            for index, device in enumerate(devices)
        ]
    cpu = _cpu_runtime([each for each in usable if each.kind == CPU], machine)
    if cpu is not None:
        specs.append(_spec("eagphpu0", EAGPHPU, cpu, share_bytes, settings))
    return specs


def _without_twins(found: Sequence[Found]) -> Sequence[Found]:
    """Leave out NVIDIA's OpenCL devices where CUDA has found devices: they are the same GPUs."""
    if not any(each.address.startswith("cuda:") for each in found):
        return found
    return [
        each
        for each in found
        if each.kind != GPU or not each.address.startswith("opencl:") or "NVIDIA" not in each.vendor
    ]


def _cpu_runtime(devices: Sequence[Found], machine: str) -> Found | None:
    for word in _CPU_RUNTIMES.get(machine, _CPU_RUNTIMES[""]):
        for device in devices:
            if word in device.address:
                return device
    return devices[0] if devices else None


def _spec(name: str, kind: str, device: Found, memory_bytes: int, settings: Settings) -> UnitSpec:
    return UnitSpec(
        id=name,
        kind=kind,
        name=device.name or device.address,
        device=device.address,
        formats=device.formats,
        memory_bytes=memory_bytes,
        slices=settings.slices,
        warm=settings.warm,
        in_place=device.in_place,
        software=device.is_software(kind),
    )


def _named_spec(
    name: str, wanted: UnitSettings, found: Found | None, settings: Settings, share_bytes: int
) -> UnitSpec:
    device = found or Found(wanted.device)
    hardware = device.kind in _PREFIX and device.memory_bytes
    kind = wanted.kind or (device.kind if device.kind in _PREFIX else EAGPHPU)
    return UnitSpec(
        id=name,
        kind=kind,
        name=wanted.name or device.name or wanted.device,
        device=wanted.device,
        formats=wanted.formats or device.formats,
        memory_bytes=wanted.memory_bytes or (device.memory_bytes if hardware else share_bytes),
        slices=wanted.slices or settings.slices,
        warm=settings.warm if wanted.warm is None else wanted.warm,
        cpus=wanted.cpus,
        in_place=device.in_place,
        software=device.is_software(kind),
    )


def _why_withheld(specs: Iterable[UnitSpec], wanted: Iterable[str]) -> str:
    """Return the site's rule that one of these personalities is not offered for, as the end of a
    sentence; nothing where there is none.
    """
    reasons = {name: why for spec in specs for name, why in spec.withheld}
    said = [f"; {name}: {reasons[name]}" for name in wanted if name in reasons]
    return "".join(said)


def _slices_for(spec: UnitSpec, memory_bytes: int) -> int:
    return max(1, -(-memory_bytes // spec.slice_bytes))


def _wanted(memory_bytes: int) -> str:
    return f"{memory_bytes} bytes" if memory_bytes else "one slice"
