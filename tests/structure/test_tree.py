"""What the whole tree keeps to: tests beside the core, no address or path of one machine, links that lead somewhere."""

import ast
import re
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.structure.tree import ROOT, files

CORE: Final = ROOT / "orchestrator" / "core"

MODULES: Final = sorted(CORE.rglob("*.py"))

# Modules and packages of the core without test files of their own, each with the reason.
UNTESTED: Final = {
    "errors": "one tree, which test_errors.py keeps whole; each is raised, and told, in the tests of whoever raises it",
    "ports": "protocols; their promises are in tests/contract, run against every adapter",
    "why": "whatever it says is said by why_session or why_app, and test_why.py asks these",
}

# Split, so that this file keeps to its own rule.
PLACES: Final = (
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "registry.npmjs" + ".org",
    "deb.debian" + ".org",
    "--index" + "-url",
    "--find" + "-links",
    "/roo" + "t/",
    "/ho" + "me/",
    "/Us" + "ers/",
    "/wo" + "rk/",
    "/tm" + "p/venv",
    "/opt/wh" + "eels",
    "/opt/py" + "pi",
)
LINK: Final = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)")


def imported_by(module: Path) -> set[str]:
    """Give the dotted names that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom(level=0, module=str(name)):
                names.add(name)
            case ast.ImportFrom():
                names.add("orchestrator.core")  # relative: inside the package
            case _:
                pass
    return names


def name_of(module: Path) -> str:
    """Give a module's dotted name below the core; a package's own module has the package's name."""
    parts = module.relative_to(CORE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def holds_code(module: Path) -> bool:
    """Tell whether a module does more than say what a package is and hand on names."""
    passive = ast.Expr | ast.Import | ast.ImportFrom | ast.Assign
    return not all(isinstance(node, passive) for node in ast.parse(module.read_text(encoding="utf-8")).body)


@pytest.mark.parametrize("module", [module for module in MODULES if holds_code(module)], ids=name_of)
def test_every_module_of_the_core_has_its_tests(module: Path) -> None:
    """The tests of core/a/b.py are in tests/unit/core/a/test_b.py or tests/unit/core/test_a_b.py."""
    *packages, stem = name_of(module).split(".")
    tests = ROOT / "tests" / "unit" / "core"
    places = [tests.joinpath(*packages, f"test_{stem}.py"), tests / f"test_{'_'.join([*packages, stem])}.py"]

    assert any(place.is_file() for place in places) or name_of(module).partition(".")[0] in UNTESTED


def test_exceptions_to_having_tests_are_still_needed() -> None:
    """An exception goes when its module goes."""
    assert UNTESTED.keys() - {name_of(module) for module in MODULES} == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(CORE)))
def test_the_core_imports_the_standard_library_and_itself(module: Path) -> None:
    """One module may also import the state machine library; nothing else comes in."""
    allowed = {"transitions"} if name_of(module) == "machine" else set()

    foreign = {
        name
        for name in imported_by(module)
        if name.partition(".")[0] not in sys.stdlib_module_names | allowed
        and not f"{name}.".startswith("orchestrator.core.")
    }
    assert foreign == set()


def test_no_file_names_an_index_or_a_path_of_one_machine() -> None:
    """What is committed works on any machine, behind any mirror."""
    found = [
        f"{path.relative_to(ROOT)}: {place}"
        for path in files()
        for place in PLACES
        if place.encode() in path.read_bytes()
    ]

    assert found == []


def test_links_between_documents_lead_somewhere() -> None:
    """A moved page takes its links along."""
    broken = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in files(suffix=".md")
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert broken == []
