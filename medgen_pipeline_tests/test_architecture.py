"""The tree is the architecture: what may import what, stated once, and what an import may do."""

import ast
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import medgen_pipeline

ROOT: Final = Path(medgen_pipeline.__file__).parent
NAME: Final = "medgen_pipeline"
MODULES: Final = tuple(sorted(ROOT.rglob("*.py")))

# A part of the package may import itself and the parts named here; imports never point back.
BASE: Final = {"errors", "reference"}
CORE: Final = BASE | {"scenario", "simulation", "dataset", "generation", "settings"}
MAY_IMPORT: Final[dict[str, set[str]]] = {
    "errors": set(),
    "metrics": set(),
    "reference": {"errors"},
    "scenario": BASE,
    "simulation": BASE | {"scenario"},
    "dataset": BASE | {"scenario", "simulation"},
    "settings": BASE,
    "client": BASE,
    "generation": CORE,
    "exports": CORE,
    "validation": CORE,
    "bench": CORE,
    "runtime": CORE | {"metrics"},
    "defs": CORE | {"exports", "metrics", "runtime", "validation"},
    "service": CORE | {"exports", "metrics", "runtime"},
    "definitions": CORE | {"exports", "metrics", "runtime", "validation", "defs"},
    "cli": CORE | {"exports", "metrics", "runtime", "validation", "bench", "defs", "service"},
}

# Libraries that belong to some parts only. A module is named from the package on.
FORBIDDEN_IN_SIMULATION: Final = {
    *("dagster", "pyarrow", "duckdb", "pandas", "obstore", "fastapi", "logging", "json", "yaml"),
    *("datetime", "time", "random", "pathlib", "os", "tempfile"),
}
MACHINE_CODE: Final = "simulation.compiled"  # keeps the kernels on disk, so it knows files
DAGSTER_PARTS: Final = {"definitions", "defs", "runtime"}

# What a module may not do while it is imported: read the environment, a file or the clock, or start
# something. Names are compared as they are written at the call.
READS: Final = ("os.environ", "os.getenv", "sys.argv", "sys.stdin")
CALLS: Final = {
    *("open", "print", "input", "exec", "eval", "__import__"),
    *("read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "iterdir", "glob", "rglob"),
    *("exists", "is_dir", "is_file", "stat", "resolve", "cwd", "home", "expanduser"),
    *("run", "Popen", "Thread", "Process", "ThreadPoolExecutor", "ProcessPoolExecutor"),
    *("now", "utcnow", "today", "perf_counter", "monotonic", "default_rng", "basicConfig"),
    *("safe_load", "loads", "load"),
}


# What a declared library is made of, and hands out as its own.
COMES_WITH: Final = {
    "annotated_types": "pydantic",
    "anyio": "fastapi",
    "dagster_shared": "dagster",
    "graphql": "dagster-graphql",
    "llvmlite": "numba",
    "packaging": "pytest",
    "PIL": "matplotlib",
    "pydantic_core": "pydantic",
    "starlette": "fastapi",
}


def named(path: Path) -> str:
    """Return a module's name below the package: `dataset.reader`, or an empty string for it."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def part(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of each module that is imported anywhere, in a function or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every node that is evaluated when the module is imported, decorators included."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += [*node.decorator_list, *node.args.defaults]
        elif not isinstance(node, ast.Lambda):
            yield node
            waiting += ast.iter_child_nodes(node)


def side_effects(source: str) -> list[str]:
    """Return what a module does beyond defining names, as it is written."""
    found = []
    for node in at_import(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in READS:
            found.append(ast.unparse(node))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] in CALLS:
            found.append(ast.unparse(node))
    return found


def wrong_imports(module: str, source: str) -> list[str]:
    """Return the parts of the package that a module imports and may not."""
    own = part(module)
    used = {
        part(name.removeprefix(NAME + "."))
        for name in imports(ast.parse(source))
        if name.startswith(NAME + ".")
    }
    return sorted(used - MAY_IMPORT[own] - {own})


def breaches(check: Callable[[Path], object]) -> dict[str, object]:
    """Return what a check finds in each module where it finds something."""
    found = {named(path): check(path) for path in MODULES}
    return {module: finding for module, finding in found.items() if finding}


def test_imports_point_one_way() -> None:
    """A part imports itself and those below it."""
    assert breaches(lambda path: named(path) and wrong_imports(named(path), path.read_text())) == {}


def test_an_import_does_nothing() -> None:
    """No environment, file, clock, thread or generator is touched while a module is imported."""
    assert breaches(lambda path: side_effects(path.read_text())) == {}


def test_a_package_file_is_a_docstring() -> None:
    """A name is imported from the module that defines it, so `__init__.py` holds no code.

    The command line's hands on the one name that the console script asks for.
    """
    packages = [path for path in MODULES if path.name == "__init__.py" and named(path) != "cli"]
    codes = {named(path): ast.parse(path.read_text()).body[1:] for path in packages}
    assert {name for name, code in codes.items() if code} == set()


def test_a_module_says_what_belongs_in_it() -> None:
    assert breaches(lambda path: ast.get_docstring(ast.parse(path.read_text())) is None) == {}


def test_a_module_is_named_by_its_idea() -> None:
    vague = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
    assert breaches(lambda path: path.stem in vague) == {}


def test_the_simulation_is_arrays_in_arrays_out() -> None:
    """It knows no Dagster, no Arrow, no file and no clock; only its store of kernels does."""

    def forbidden(path: Path) -> set[str]:
        if part(named(path)) != "simulation" or named(path) == MACHINE_CODE:
            return set()
        used = {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}
        return used & FORBIDDEN_IN_SIMULATION

    assert breaches(forbidden) == {}


def test_dagster_is_known_to_few() -> None:
    """Only the definitions, what supervises runs and one module of the service import Dagster."""
    users = {
        named(path)
        for path in MODULES
        if any(
            name.split(".")[0].startswith("dagster")
            for name in imports(ast.parse(path.read_text()))
        )
    }
    elsewhere = {name for name in users if part(name) not in DAGSTER_PARTS}
    assert {name for name in elsewhere if part(name) != "service"} == set()
    assert len(elsewhere) <= 1


def test_every_part_has_its_rule() -> None:
    """A new folder or module at the top is placed in the order before it is used."""
    top = {part(named(path)) for path in MODULES if named(path)}
    assert top <= set(MAY_IMPORT)


def test_the_rule_has_no_circle() -> None:
    """Parts can be put in an order in which each imports only what stands before it."""
    placed: set[str] = set()
    while ready := {
        p for p, needs in MAY_IMPORT.items() if p not in placed and needs - {p} <= placed
    }:
        placed |= ready
    assert placed == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("module_name", "source"),
    [
        ("simulation.kernel", "from medgen_pipeline.dataset.writer import write"),
        ("dataset.reader", "def f():\n    import medgen_pipeline.generation.batch"),
        ("reference.tables", "from medgen_pipeline import scenario"),
    ],
)
def test_a_breach_is_seen(module_name: str, source: str) -> None:
    """The check itself finds an import that points back, wherever it stands."""
    assert wrong_imports(module_name, source) != []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nURL = os.environ['X']",
        "DATA = open('x').read()",
        "from pathlib import Path\nclass A:\n    text = Path('x').read_text()",
        "def f(a=open('x')): ...",
    ],
)
def test_a_side_effect_is_seen(source: str) -> None:
    assert side_effects(source) != []


def test_every_library_is_declared() -> None:
    """What is imported stands in pyproject.toml, or is a part of something that does."""
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    declared = {
        canonicalize_name(Requirement(text).name)
        for texts in (project["dependencies"], *project["optional-dependencies"].values())
        for text in texts
    }
    assert set(COMES_WITH.values()) <= declared
    ours = {NAME, "medgen_pipeline_tests"}
    used = (
        {
            name.split(".")[0]
            for path in (*MODULES, *(ROOT.parent / "medgen_pipeline_tests").rglob("*.py"))
            for name in imports(ast.parse(path.read_text()))
        }
        - sys.stdlib_module_names
        - ours
    )
    distributions = packages_distributions()
    missing = {
        name
        for name in used - set(COMES_WITH)
        # What is not installed, as Ray may not be, bears the name of its distribution.
        if not declared & {canonicalize_name(one) for one in distributions.get(name, [name])}
    }
    assert missing == set()


def test_the_lock_holds_every_declared_library() -> None:
    """Set-up installs a lock without resolving, so what is not in it is not there.

    What tests need, and Ray, is in locks of their own, which add to the first.
    """
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    locks = ("requirements.lock", "requirements-test.lock", "requirements-cluster.lock")
    lines = [line for lock in locks for line in (ROOT.parent / lock).read_text().splitlines()]
    locked = {canonicalize_name(Requirement(line).name) for line in lines if line[:1] != "#"}
    for texts in (project["dependencies"], *project["optional-dependencies"].values()):
        for text in texts:
            name = canonicalize_name(Requirement(text).name)
            assert name in locked | {canonicalize_name(NAME)}
