"""Every module says what is public, and every public name is documented."""

import ast
import re
from importlib import import_module


def _all_of(tree):
    """The names in a module's `__all__`, or None if it has none."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if [ast.unparse(target) for target in targets] == ["__all__"]:
            return ast.literal_eval(node.value)
    return None


def _sort_key(name):
    """Constants, then classes, then functions, each alphabetically: the order that the linter's fix gives."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name


def _definitions(tree):
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)}


def _documented_constants(tree):
    """Names assigned at the top of a module with a string right below."""
    for node, below in zip(tree.body, tree.body[1:], strict=False):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            yield from (ast.unparse(target) for target in targets)


def _is_main(module):
    return module.endswith("__main__")


def test_every_module_is_documented_and_has_an_all(modules):
    assert [name for name, tree in modules.items() if not ast.get_docstring(tree)] == []
    assert [name for name, tree in modules.items() if _all_of(tree) is None and not _is_main(name)] == []


def test_every_all_is_sorted_and_without_repetition(modules):
    lists = {name: _all_of(tree) or [] for name, tree in modules.items()}
    assert [name for name, names in lists.items() if names != sorted(set(names), key=_sort_key)] == []


def test_all_holds_every_public_class_and_function(modules):
    missing = [
        f"{module}.{name}"
        for module, tree in modules.items()
        for name in _definitions(tree)
        if not name.startswith("_") and name not in (_all_of(tree) or ()) and not _is_main(module)
    ]
    assert missing == []


def test_every_public_name_is_documented(modules):
    bare = []
    for module, tree in modules.items():
        definitions, constants = _definitions(tree), set(_documented_constants(tree))
        for name in _all_of(tree) or ():
            if name in definitions and not ast.get_docstring(definitions[name]):
                bare.append(f"{module}.{name}")
            elif name not in definitions and name not in constants and not _imported(tree, name):
                bare.append(f"{module}.{name} (a string below its assignment)")
    assert bare == []


def _imported(tree, name):
    """Whether the module only passes the name on, or makes it an alias of types, which its right-hand side documents."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
            return True
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name and "TypeAlias" in ast.unparse(node.annotation):
            return True
    return False


def _methods(tree):
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for node in owner.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                yield owner, node


def _bases(owner):
    return [ast.unparse(base).split("[")[0].split(".")[-1] for base in owner.bases]


def _named_in_its_class(owner, node):
    """Whether the class's docstring has a word on it: `name:` in a list of attributes, or in backquotes."""
    return re.search(rf"\b{node.name}\b(?=[,:(`]| \()", ast.get_docstring(owner) or "") is not None


def test_every_public_method_is_documented_there_or_where_it_is_promised(modules):
    methods = [(module, owner, node) for module, tree in modules.items() for owner, node in _methods(tree)]
    extended = {base for _, owner, _ in methods for base in _bases(owner)}
    promised = {
        node.name
        for _, owner, node in methods
        if ("Protocol" in _bases(owner) or owner.name in extended) and (ast.get_docstring(node) or _named_in_its_class(owner, node))
    }
    bare = [
        f"{module}.{owner.name}.{node.name}"
        for module, owner, node in methods
        if not (owner.name.startswith("_") or node.name in promised or ast.get_docstring(node) or _named_in_its_class(owner, node))
    ]
    assert bare == []


def test_every_function_is_typed(modules):
    untyped = [
        f"{module}.{node.name}"
        for module, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is None
    ]
    assert untyped == []


def test_every_name_in_all_exists(modules):
    absent = []
    for module in filter(lambda name: not _is_main(name), modules):
        loaded = import_module(f"edgewright.{module}")
        absent.extend(f"{module}.{name}" for name in getattr(loaded, "__all__", ()) if not hasattr(loaded, name))
    assert absent == []


def test_no_package_exports_a_name_that_is_also_its_module(modules):
    """Importing the module would put it in the place of the name, or the other way round, whichever comes last."""
    clashes = [f"{package}.{name}" for package, tree in modules.items() for name in _all_of(tree) or () if f"{package}.{name}" in modules]
    assert clashes == []
