"""What the repository says is about the project alone: nothing of the machine it was written on."""

import re

import pytest

# Put together here, so that this file does not hold what it looks for.
PLACES = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/op" + "t/"]
HOSTS = ["file:" + "//", "local" + "host:", "extra-" + "index-url", "--index-" + "url", "arti" + "factory", "nexus" + "."]
FORBIDDEN = re.compile("|".join(rf"(?<![\w.]){re.escape(text)}" for text in PLACES + HOSTS))


def _found(text):
    return [match.group() for match in FORBIDDEN.finditer(text)]


def test_no_file_names_a_place_on_somebodys_machine(files, repository):
    found = {str(path): _found(text) for path in files if (text := _text(repository / path)) is not None}
    assert {path: places for path, places in found.items() if places} == {}


def _text(path):
    """The content of a text file, None of any other."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return None


@pytest.mark.parametrize("text", [PLACES[0] + "main", f"see {PLACES[1]}x", f'"{HOSTS[0]}/srv"'])
def test_a_forbidden_place_would_be_seen(text):
    assert _found(text)


def test_words_that_only_look_like_places_are_let_be():
    assert _found("net" + PLACES[0] + "x, a/b" + PLACES[2] + "page") == []
