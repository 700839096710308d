"""The tree is the architecture: what may import what, stated once, and what an import may do."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import medgen_pipeline

ROOT: Final = Path(medgen_pipeline.__file__).parent
NAME: Final = "medgen_pipeline"
MODULES: Final = tuple(sorted(ROOT.rglob("*.py")))

# A part of the package may import itself and the parts named here; imports never point back.
BASE: Final = {"errors", "reference"}
CORE: Final = BASE | {"scenario", "simulation", "dataset", "generation", "settings"}
MAY_IMPORT: Final[dict[str, set[str]]] = {
    "errors": set(),
    "reference": {"errors"},
    "scenario": BASE,
    "simulation": BASE | {"scenario"},
    "dataset": BASE | {"scenario", "simulation"},
    "settings": BASE,
    "generation": CORE,
    "exports": CORE,
    "validation": CORE,
    "bench": CORE,
    "runtime": CORE,
    "defs": CORE | {"exports", "runtime", "validation"},
    "service": CORE | {"exports", "runtime"},
    "definitions": CORE | {"exports", "runtime", "validation", "defs"},
    "cli": CORE | {"exports", "runtime", "validation", "bench", "defs"},
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


@pytest.fixture(params=MODULES, ids=named)
def module(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_imports_point_one_way(module: Path) -> None:
    """A part imports itself and those below it."""
    if named(module):
        assert wrong_imports(named(module), module.read_text()) == []


def test_an_import_does_nothing(module: Path) -> None:
    """No environment, file, clock, thread or generator is touched while a module is imported."""
    assert side_effects(module.read_text()) == []


def test_a_package_file_is_a_docstring(module: Path) -> None:
    """A name is imported from the module that defines it, so `__init__.py` holds no code."""
    if module.name == "__init__.py" and named(module) != "cli":
        body = ast.parse(module.read_text()).body
        assert [type(node) for node in body] == [ast.Expr]


def test_a_module_says_what_belongs_in_it(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


def test_a_module_is_named_by_its_idea(module: Path) -> None:
    assert module.stem not in {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


@pytest.mark.parametrize(
    "module", [m for m in MODULES if part(named(m)) == "simulation"], ids=named, indirect=True
)
def test_the_simulation_is_arrays_in_arrays_out(module: Path) -> None:
    """It knows no Dagster, no Arrow, no file and no clock; only its store of kernels does."""
    if named(module) != MACHINE_CODE:
        used = {name.split(".")[0] for name in imports(ast.parse(module.read_text()))}
        assert used & FORBIDDEN_IN_SIMULATION == set()


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
