"""What `pyproject.toml` ships is what lies in the folders."""

import importlib.util
import tomllib
from fnmatch import fnmatch

import pytest


@pytest.fixture(scope="module")
def shipped(repository):
    """The setuptools part of the project file."""
    return tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["setuptools"]


def _folder(package):
    return package.removeprefix("edgewright.").replace(".", "/")


def test_the_packages_are_the_folders_with_an_init(shipped, files, houses):
    folders = {path.parent.as_posix() for path in files if path.name == "__init__.py" and path.parts[0] in houses}
    assert {_folder(package) for package in shipped["packages"]} == folders
    assert shipped["packages"] == sorted(set(shipped["packages"]))


def test_every_folder_with_code_is_a_package(files, houses):
    code = {path.parent for path in files if path.suffix == ".py" and path.parts[0] in houses}
    assert sorted(str(folder) for folder in code if folder / "__init__.py" not in files) == []


def test_every_house_is_mapped_to_its_folder(shipped, houses):
    assert shipped["package-dir"] == {f"edgewright.{house}": house for house in sorted(houses)}


def test_every_data_file_is_shipped(shipped, files, houses):
    patterns = shipped["package-data"]["*"]
    data = [path for path in files if path.parts[0] in houses and path.suffix != ".py"]
    lost = [str(path) for path in data if path.parent / "__init__.py" not in files or not any(fnmatch(path.name, one) for one in patterns)]
    assert lost == []


def test_every_house_says_that_it_is_typed(files, houses):
    assert [house for house in houses if not any(path.as_posix() == f"{house}/py.typed" for path in files)] == []


def test_edgewright_is_a_namespace_that_others_may_join(repository):
    specification = importlib.util.find_spec("edgewright")
    assert specification is not None
    assert specification.origin is None
    assert not (repository / "edgewright").exists()


def test_every_test_file_has_a_name_of_its_own(files):
    names = [path.name for path in files if path.parts[0] == "tests" and path.name.startswith("test_")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
