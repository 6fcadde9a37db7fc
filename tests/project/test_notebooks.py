"""The notebooks run from beginning to end."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # what Jupyter itself warns of is not ours
def test_a_notebook_runs(path, tmp_path):
    book = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert all(cell.execution_count for cell in book.cells if cell.cell_type == "code")


def test_notebooks_are_kept_without_what_they_printed():
    assert len(NOTEBOOKS) == 3
    for path in NOTEBOOKS:
        assert not any(cell.outputs for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
