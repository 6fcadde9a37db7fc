"""Imports run downwards only, there are no cycles, and only the simulator knows SimPy."""

import ast
from graphlib import CycleError, TopologicalSorter

import pytest


def _imports(tree, *, at_import_time=False):
    """Dotted names imported in a tree; `from a import b` gives `a.b`, which may be a module or a name in one."""
    for node in _statements(tree) if at_import_time else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def _statements(node):
    """What runs when a module is imported: neither the bodies of functions nor those of `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _statements(child)


def _within(name):
    """The part of a dotted name below `edgewright`, or None."""
    return name.removeprefix("edgewright.") if name.startswith("edgewright.") else None


def _module_of(name, modules):
    """The module that a dotted name is, or is in."""
    return name if name in modules else name.rpartition(".")[0]


def _upward(modules, houses):
    for module, tree in modules.items():
        allowed = houses[: houses.index(module.split(".")[0]) + 1]
        for name in filter(None, map(_within, _imports(tree))):
            if name.split(".")[0] not in allowed:
                yield f"{module} imports {name}"


def test_imports_run_downwards_only(modules, houses):
    assert list(_upward(modules, houses)) == []


def test_an_upward_import_would_be_seen(houses):
    def seen(source):
        return list(_upward({"policies.kv.mine": ast.parse(source)}, houses))

    assert seen("from edgewright.simulator import simulate") == ["policies.kv.mine imports simulator.simulate"]
    assert seen("def f():\n    import edgewright.experiments.cli") == ["policies.kv.mine imports experiments.cli"]
    assert seen("from edgewright.hwmodels import Work\nimport simpy") == []


def test_every_import_of_the_package_names_a_module_that_exists(modules):
    missing = [
        f"{module} imports {name}"
        for module, tree in modules.items()
        for name in filter(None, map(_within, _imports(tree)))
        if _module_of(name, modules) not in modules
    ]
    assert missing == []


def _graph(modules):
    """Which modules a module names while it is imported; one that asks its own package for a name needs the whole package."""
    graph = {}
    for module, tree in modules.items():
        names = (_module_of(name, modules) for name in filter(None, map(_within, _imports(tree, at_import_time=True))))
        graph[module] = {name for name in names if name != module}
    return graph


def test_no_module_needs_itself(modules):
    try:
        TopologicalSorter(_graph(modules)).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_a_cycle_would_be_seen():
    there, back = ast.parse("from edgewright.policies.b import y"), ast.parse("import edgewright.policies.a")
    with pytest.raises(CycleError):
        TopologicalSorter(_graph({"policies.a": there, "policies.b": back})).prepare()
    late = ast.parse("def f():\n    import edgewright.policies.a")
    TopologicalSorter(_graph({"policies.a": there, "policies.b": late})).prepare()


def test_only_the_simulator_imports_simpy(modules):
    allowed = ("simulator", "experiments.benchmarks")
    users = [module for module, tree in modules.items() if any(name.split(".")[0] == "simpy" for name in _imports(tree))]
    assert [module for module in users if module != "simulator" and not module.startswith(tuple(f"{home}." for home in allowed))] == []
    assert users, "nothing imports SimPy: this test no longer sees what it should"


def test_nobody_imports_a_house_by_its_bare_name_or_from_a_dot(modules, houses, files, repository):
    tests = {str(path): ast.parse((repository / path).read_text()) for path in files if path.parts[0] == "tests" and path.suffix == ".py"}
    bare = [
        f"{module} imports {name}"
        for module, tree in (modules | tests).items()
        for name in _imports(tree)
        if name.startswith(".") or name.split(".")[0] in houses
    ]
    assert bare == []
