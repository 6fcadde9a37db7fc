"""Functions fit on a screen, files in a head."""

import ast
from statistics import median

LONGEST_FUNCTION = 60
LONGEST_FILE = 500


def _functions(tree):
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _lines(node):
    """Lines from `def` to the end, the docstring not counted: documentation is not to be saved on."""
    documented = node.body[0] if ast.get_docstring(node) else None
    return node.end_lineno - node.lineno + 1 - (documented.end_lineno - documented.lineno + 1 if documented else 0)


def test_no_function_is_long(modules):
    lengths = {f"{module}.{node.name}": _lines(node) for module, tree in modules.items() for node in _functions(tree)}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}
    assert median(lengths.values()) <= 9


def test_no_file_is_long(files, repository):
    lengths = {str(path): len((repository / path).read_text().splitlines()) for path in files if path.suffix == ".py"}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}
