"""The command `gond`, but for `serve`, which tests/e2e runs."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from gon_server.cli import gond
from gon_server.config import SETTINGS


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    (tmp_path / "gond.toml").write_text(
        'warm = 3\n[units.mine]\ndevice = "sim:"\nslices = 4\n'
        '[personalities.own]\nformats = ["onnx"]\ndynamic = false\n'
        '[engines.onnx]\nuse = "onnxruntime"\n'
    )
    monkeypatch.setenv("GOND_CONFIG", str(tmp_path / "gond.toml"))
    return CliRunner()


def test_the_effective_settings_are_shown_with_their_sources(runner: CliRunner) -> None:
    shown = runner.invoke(
        gond,
        ["config", "show", "--insecure", "--listen", "gon://0.0.0.0:1"],
        env={"GOND_SLICES": "8"},
    )
    assert shown.exit_code == 0, shown.output
    table = tomllib.loads(shown.output)
    assert list(table) == [about.name for about in SETTINGS]
    assert (table["warm"], table["slices"], table["insecure"]) == (3, 8, True)
    assert table["listen"] == ["gon://0.0.0.0:1"]
    assert table["units"]["mine"]["slices"] == 4
    assert table["engines"]["onnx"] == {"use": "onnxruntime"}
    assert table["personalities"]["own"]["formats"] == ["onnx"]
    for line in ("slices = 8 # GOND_SLICES", "insecure = true # --insecure", "# default"):
        assert line in shown.output


def test_what_is_shown_can_be_read_again(runner: CliRunner, tmp_path: Path) -> None:
    first = runner.invoke(gond, ["config", "show"])
    (tmp_path / "again.toml").write_text(first.output)
    again = runner.invoke(gond, ["config", "show", "--config", str(tmp_path / "again.toml")])
    assert again.exit_code == 0, again.output
    assert tomllib.loads(again.output) == tomllib.loads(first.output)


def test_every_setting_has_a_flag_with_help(runner: CliRunner) -> None:
    text = runner.invoke(gond, ["serve", "--help"]).output
    for about in SETTINGS:
        assert about.flag in text
        assert about.help.split()[0] in text


def test_a_wrong_setting_ends_with_its_name(runner: CliRunner) -> None:
    shown = runner.invoke(gond, ["config", "show", "--warm", "many"])
    assert shown.exit_code == 2
    assert "gond: [CONFIG] --warm: " in shown.output


def test_the_version_is_that_of_the_package(runner: CliRunner) -> None:
    assert version("gon") in runner.invoke(gond, ["--version"]).output
