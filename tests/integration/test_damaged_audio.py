"""Files that lie, stop or change midway in one folder with good ones: each is right, warned of, or one error."""

import faulthandler
import json
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from audio_encodings import require_tools
from damaged_audio import DAMAGES, GOOD, NOISE, RATE, write_damaged, write_parts
from factories import write_tiny_model
from mrlspk.cli.app import app
from mrlspk.data.audio.reader import open_audio
from mrlspk.errors import DataError

pytestmark = [pytest.mark.slow, pytest.mark.process]
LINKS = ["link.wav"]
MOST_SECONDS, MOST_BYTES = 120, 2 << 30  # far more than the folder needs, far less than a header that lies claims
ERRORS = sorted(name for name, each in DAMAGES.items() if each.seconds is None)
DELIVERED = sorted(DAMAGES.keys() - set(ERRORS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Damaged files and five good ones: ``folder/speaker/name``."""
    require_tools()
    made = tmp_path_factory.mktemp("damaged")
    (made / "speaker").mkdir()
    parts = write_parts(tmp_path_factory.mktemp("parts"))
    for name in GOOD:
        (made / "speaker" / f"good-{name}").write_bytes(parts[name])
    write_damaged(made / "speaker", parts)
    return made


@contextmanager
def bounded():
    """End the process if it hangs, and refuse it more than a little memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    present = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    faulthandler.dump_traceback_later(MOST_SECONDS, exit=True)
    resource.setrlimit(resource.RLIMIT_AS, (present + MOST_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        faulthandler.cancel_dump_traceback_later()


def command(*arguments):
    """Run a command within bounds; return its exit code and its JSON document."""
    with bounded():
        result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "model.pt", (4, 8))


@pytest.fixture(scope="module")
def embedded(folder, model):
    """Run ``mrlspk embed`` once on the folder."""
    return command("embed", folder / "speaker", "--model", model, "--speech", "all")


@pytest.fixture(scope="module")
def checked(folder):
    """Run ``mrlspk data check`` once on the folder, by kind and message for every file."""
    exit_code, document = command("data", "check", folder, "--decode", "all")
    found = {}
    for each in document["problems"]:
        found.setdefault(each["where"].removeprefix("speaker/"), []).append(each)
    return exit_code, found


def vectors(document):
    return {each["id"]: each["embedding"] for each in document["embeddings"]}


def test_good_files_among_damaged_ones_are_embedded_as_alone(folder, model, embedded):
    good = [folder / "speaker" / f"good-{name}" for name in GOOD]
    exit_code, document = command("embed", *good, "--model", model, "--speech", "all")
    assert (exit_code, embedded[0]) == (0, 3)
    among = vectors(embedded[1])
    assert {str(folder / "speaker" / id): among[id] for id in among if id.startswith("good-")} == vectors(document)


def test_every_damaged_file_is_delivered_or_one_error(embedded):
    delivered, errors = [[each["id"] for each in embedded[1][key]] for key in ("embeddings", "errors")]
    assert sorted(delivered) == sorted([*DELIVERED, *(f"good-{name}" for name in GOOD)])
    assert sorted(errors) == sorted([*ERRORS, *LINKS])


@pytest.mark.parametrize("name", ERRORS)
def test_error_says_what_is_wrong(embedded, name):
    message = {each["id"]: each["message"] for each in embedded[1]["errors"]}[name]
    assert DAMAGES[name].said in message
    assert len(message) < 400


@pytest.mark.parametrize("name", DELIVERED)
def test_delivered_file_has_its_length_and_its_warning(embedded, name):
    entry = {each["id"]: each for each in embedded[1]["embeddings"]}[name]
    assert entry["seconds"] == pytest.approx(DAMAGES[name].seconds, abs=DAMAGES[name].spare)
    said = DAMAGES[name].said
    assert [said in warning for warning in entry["warnings"]] == [True] * bool(said)


@pytest.mark.parametrize("name", DAMAGES)
def test_data_check_has_one_finding_for_a_bad_file(checked, name):
    found = checked[1].get(name, [])
    is_found = bool(DAMAGES[name].said) or DAMAGES[name].misstates
    assert [each["severity"] for each in found] == ["error" if name in ERRORS else "warning"] * is_found
    assert not DAMAGES[name].misstates or found[0]["kind"] == "duration"


def test_data_check_finds_nothing_in_good_files(checked):
    assert checked[0] == 3
    assert not [name for name in checked[1] if name.startswith("good-")]


def test_file_that_shrinks_while_it_is_read_is_an_error(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.tile(NOISE, 20), RATE)
    with open_audio(path) as reader:
        blocks = reader.blocks()
        next(blocks)
        os.truncate(path, 500_000)
        with pytest.raises(DataError, match="cut short"):
            list(blocks)
