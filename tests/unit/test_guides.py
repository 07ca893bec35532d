"""The guides say what the code says: settings, errors, workloads, and where their links lead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gon.errors import TABLE
from gon_client.bench import catalogue
from gon_server import config
from gon_server.config import SETTINGS, PersonalitySettings, UnitSettings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDES = (*ROOT.glob("*.md"), *DOCS.glob("*.md"))


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def anchor_of(heading: str) -> str:
    """Return the anchor by which a heading is linked to."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_links_lead_somewhere(guide: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(guide)):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        page = guide.parent / name if name else guide
        assert page.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
            assert anchor in map(anchor_of, headings), target


def test_every_error_stands_in_the_readme() -> None:
    readme = text_of(ROOT / "README.md")
    for code, row in TABLE.items():
        assert f"| `{code.name}` | {int(code)} | `{row.error.__name__}`" in readme
    assert len(re.findall(r"^\| `[A-Z_]+` \| \d+ \|", readme, re.MULTILINE)) == len(TABLE)


def test_every_setting_stands_in_the_reference() -> None:
    reference = text_of(DOCS / "OPERATING.md")
    for about in SETTINGS:
        row = f"| `{about.name}` | `{about.variable}` | `{about.flag}`"
        switched = f"/`--no-{about.flag[2:]}`" if about.is_switch else ""
        assert row + switched + " |" in reference
    for name in (*UnitSettings.__dataclass_fields__, *PersonalitySettings.__dataclass_fields__):
        assert f"| `{name}` | " in reference


def test_the_example_file_is_one(tmp_path: Path) -> None:
    fenced = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    (example,) = fenced.findall(text_of(DOCS / "OPERATING.md"))
    file = tmp_path / "gond.toml"
    file.write_text(example, "utf-8")
    loaded = config.load(file, {}, {}, 0)
    assert set(loaded.settings.units)
    given = {name for name, source in loaded.sources.items() if source == str(file)}
    assert given == {about.name for about in SETTINGS} - {"insecure", "worker_entry"}


def test_every_module_stands_on_the_map() -> None:
    words = set(re.findall(r"`([\w/]+\.py|\w+/)`", text_of(ROOT / "ARCHITECTURE.md")))
    for package in (ROOT / "gon", ROOT / "server" / "gon_server", ROOT / "client" / "gon_client"):
        for module in package.rglob("*.py"):
            name = module.relative_to(package)
            told = {str(name), f"{name.parts[0]}/"} & words
            assert told or module.stem.startswith("__") or name.parts[0] == "pb", module


def test_every_workload_stands_in_the_guide() -> None:
    guide = text_of(DOCS / "BENCHMARKING.md")
    for row in catalogue.ALL:
        assert f"| `{row.id}` | {row.unit} | " in guide
