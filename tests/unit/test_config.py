"""Settings: which source wins, what is refused, and how it says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gon.errors import ConfigError
from gon_server import config
from gon_server.config import Configuration, UnitSettings

UID = 1000
ENV = {"HOME": "/nowhere"}


def load(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    **flags: tuple[str, ...],
) -> Configuration:
    return config.load(file, {**ENV, **(environ or {})}, flags, UID)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "gond.toml"
    file.write_text(text)
    return file


def test_defaults_listen_on_a_socket_and_on_loopback() -> None:
    loaded = load(environ={"XDG_RUNTIME_DIR": "/run/user/1000"})
    assert loaded.settings.listen == (
        "unix:///run/user/1000/gon/gond.sock",
        "gon://127.0.0.1:7070",
    )
    assert [str(each) for each in loaded.settings.data_addresses] == [
        "unix:///run/user/1000/gon/gond-data.sock",
        "tcp://127.0.0.1:7071",
    ]
    assert set(loaded.sources.values()) == {"default"}


def test_flags_win_over_variables_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "warm = 3\nslices = 4\nlease_s = 5\n")
    loaded = load(file, {"GOND_SLICES": "6", "GOND_LEASE_S": "7"}, lease_s=("8.5",))
    assert (loaded.settings.warm, loaded.settings.slices, loaded.settings.lease_s) == (3, 6, 8.5)
    assert loaded.sources["warm"] == str(file)
    assert loaded.sources["slices"] == "GOND_SLICES"
    assert loaded.sources["lease_s"] == "--lease-s"
    assert loaded.sources["grace_s"] == "default"


def test_the_usual_file_is_read_if_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "gon").mkdir()
    usual = tmp_path / "gon" / "gond.toml"
    assert load(environ={"XDG_CONFIG_HOME": str(tmp_path)}).settings.warm == 2
    usual.write_text("warm = 9")
    assert load(environ={"XDG_CONFIG_HOME": str(tmp_path)}).settings.warm == 9


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml cannot be read"):
        load(environ={"GOND_CONFIG": str(tmp_path / "missing.toml")})


def test_units_come_from_the_file_and_from_texts(tmp_path: Path) -> None:
    file = written(tmp_path, '[units.a]\ndevice = "sim:"\nslices = 4\ncpus = [0, 1]\nwarm = 0\n')
    wanted = {"a": UnitSettings("sim:", slices=4, cpus=(0, 1), warm=0)}
    assert load(file).settings.units == wanted
    assert load(units=("a=sim:,slices=4,cpus=0+1,warm=0",)).settings.units == wanted
    both = load(environ={"GOND_UNITS": "a=sim:,slices=4,cpus=0+1,warm=0; b=null:"})
    assert both.settings.units == {**wanted, "b": UnitSettings("null:")}


def test_lists_come_as_repeated_flags_and_with_commas() -> None:
    uris = ("unix:///a/b", "gon://127.0.0.1:0")
    assert load(listen=uris).settings.listen == uris
    assert load(environ={"GOND_LISTEN": ", ".join(uris)}).settings.listen == uris


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wram = 1", r"key 'wram' in .*gond\.toml is unknown; the nearest known one is 'warm'"),
        ('warm = "two"', r"key 'warm' in .*gond\.toml: Expected `int`"),
        ("warm = 2.5", r"key 'warm'"),
        ("warm = -1", r"key 'warm'.*>= 0"),
        ("lease_s = 0", r"key 'lease_s'"),
        ('listen = "unix:///a"', r"key 'listen'"),
        ("listen = []", r"key 'listen'"),
        ('log_level = "loud"', r"key 'log_level'"),
        ("warm = ", r"is not TOML"),
        ("units = 3", r"\[units.NAME\]"),
        ("[units]\na = 3", r"\[units.a\] must be a table"),
        ("[units.a]\nslices = 3", r"unit 'a'.*device"),
        ('[units.a]\ndevice = "x:"\nslcies = 3', r"key 'slcies' of unit 'a'.*'slices'"),
        ('[units."a b"]\ndevice = "x:"', r"'a b' cannot name a unit"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(written(tmp_path, text))


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("GOND_LEASE", "1", r"variable GOND_LEASE is unknown.*'GOND_LEASE_S'"),
        ("GOND_WARM", "many", r"variable GOND_WARM: "),
        ("GOND_WARM", "", r"variable GOND_WARM: "),
        ("GOND_INSECURE", "perhaps", r"variable GOND_INSECURE: "),
        ("GOND_UNITS", "sim:", r"'sim:' is not of the form NAME=DEVICE"),
        ("GOND_UNITS", "a=sim:,fast=1", r"key 'fast' of unit 'a'"),
    ],
)
def test_what_is_wrong_in_a_variable_is_named(variable: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(environ={variable: value})


def test_other_variables_are_nobodys_business() -> None:
    assert load(environ={"GON_HOST": "gon://x", "GONDOLA": "1"}).settings.warm == 2


@pytest.mark.parametrize("name", ["listen", "data_listen"])
def test_an_address_that_others_reach_needs_insecure(name: str) -> None:
    uri = "gon://0.0.0.0:1" if name == "listen" else "tcp://0.0.0.0:1"
    flags = {name: (uri,)}
    with pytest.raises(ConfigError, match=r"can be reached by other machines.*--insecure"):
        config.load(None, ENV, flags, UID)
    allowed = config.load(None, ENV, {**flags, "insecure": ("true",)}, UID).settings
    assert uri in getattr(allowed, name)


@pytest.mark.parametrize("uri", ["tcp://127.0.0.1:1", "gon://", "unix://x", "nonsense"])
def test_a_malformed_address_is_a_setting_that_is_wrong(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"listen \(--listen\)"):
        load(listen=(uri,))


def test_data_links_come_in_beside_the_control_plane() -> None:
    settings = load(listen=("gon://127.0.0.1:0", "gon://[::1]:5000", "unix:///x/y.sock")).settings
    assert [str(each) for each in settings.data_addresses] == [
        "tcp://127.0.0.1:0",
        "tcp://[::1]:5001",
        "unix:///x/y-data.sock",
    ]
