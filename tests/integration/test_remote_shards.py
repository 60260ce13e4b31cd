"""Shards on an HTTP and an S3 server of this machine, which fail now and then."""

import logging

import pytest
import torch
from fsspec.config import conf

from factories import write_voices
from integration.model_server import Answer, ModelServer
from mrlspk.data import byte_ranges, remote
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.dataset import CropDataset, SampleKey
from mrlspk.data.crops.loader import WatchedLoader
from mrlspk.errors import DataError, DownloadError
from mrlspk.workflows.pack_shards import pack_shards

pytestmark = [
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # is multi-threaded, of its server
]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Sixteen files, and the folder of their four shards."""
    folder = tmp_path_factory.mktemp("packed")
    corpus = write_voices(folder / "corpus")
    pack_shards(corpus, folder / "shards", shard_bytes=100_000, jobs=1)
    return corpus, folder / "shards"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(remote, "FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(byte_ranges, "_fetched", byte_ranges._Fetched())


@pytest.fixture
def server(packed):
    files = {f"/{path.name}": path.read_bytes() for path in packed[1].iterdir()}
    with ModelServer(files) as running:
        yield running


def crops_of(corpus):
    return CropDataset(scan_corpus(corpus), crop_seconds=0.3, seed=1)


def keys(epoch=0):
    return [SampleKey(index, epoch, 0) for index in range(16)]


def test_http_shards_give_the_crops_of_files_in_spite_of_faults(packed, server):
    files, shards = crops_of(packed[0]), crops_of(server.url)
    assert shards.fingerprint == files.fingerprint
    n_before = len(server.requests)
    faults = Answer(status=503), Answer(cut=100), Answer(cut=0), Answer(status=500)
    server.answers = [answer for fault in faults for answer in (fault, Answer(), Answer(), Answer())]
    for key in keys():
        assert torch.equal(shards[key][0], files[key][0])
    asked = server.requests[n_before:]
    assert len(asked) == 16 + len(faults)  # one request for each file, and one more after each fault
    assert all(each.range and each.encodings == "identity" for each in asked)
    assert sum(each.n_bytes for each in asked) < 16 * 17_000  # the ranges of the members alone


@pytest.mark.parametrize("n_workers", [1, 4])
def test_workers_share_no_connection_with_their_parent(packed, server, n_workers):
    files, shards = crops_of(packed[0]), crops_of(server.url)
    shards[keys(epoch=1)[0]]  # opens a connection
    batches = [keys()[start : start + 4] for start in range(0, 16, 4)]
    loader = WatchedLoader(shards, batches, num_workers=n_workers)
    found = [torch.cat(part) for part in zip(*((each[0], each[1]) for each in loader), strict=True)]
    loader.close()
    assert torch.equal(found[0], torch.stack([files[key][0] for key in keys()]))
    assert found[1].tolist() == [files[key][1] for key in keys()]


@pytest.mark.parametrize(
    ("answer", "error", "what"),
    [
        (Answer(status=404), DataError, "cannot be read: HTTP 404 Not Found"),
        (Answer(status=403), DataError, "cannot be read: HTTP 403 Forbidden"),
        (Answer(status=503), DownloadError, "cannot be read, in 6 attempts: HTTP 503 Service Unavailable"),
        (Answer(cut=100), DownloadError, "cannot be read, in 6 attempts: Response payload is not completed"),
        (Answer(range_honoured=False), DownloadError, "the server sends no ranges of a file, only the whole"),
    ],
)
def test_server_at_fault_is_one_error_that_names_the_shard(server, answer, error, what):
    shards = crops_of(server.url)
    server.always = answer
    n_before = len(server.requests)
    with pytest.raises(error) as caught:
        shards[SampleKey(3, 0, 0)]
    assert caught.value.what.startswith(what)
    assert caught.value.where.startswith(f"{server.url}/shard-00000")
    assert len(server.requests) - n_before == (6 if "6 attempts" in what else 1)


def test_server_without_ranges_ends_a_run_that_may_lose_files(server):
    shards = crops_of(server.url)
    shards.max_unreadable = 4
    server.always = Answer(range_honoured=False)
    with pytest.raises(DownloadError, match="sends no ranges"):
        shards[SampleKey(3, 0, 0)]


def test_shard_that_is_cut_short_is_an_error(server):
    shards = crops_of(server.url)
    name = next(path for path in server.files if path.endswith("0.tar"))
    server.files[name] = server.files[name][: 20 * 512]  # within the first recording
    with pytest.raises(DataError, match="cut short: expected 16556 bytes at 0, got 10240"):
        shards[min(keys(), key=lambda key: _place(shards, key, name))]


def _place(shards, key, name):
    source = shards.source_of(key.index)
    return source.offset if source.archive.endswith(name) else 1 << 40


def test_no_server_is_an_error_of_the_network(run):
    with ModelServer({}) as gone:
        pass
    outcome = run("data", "check", gone.url)
    assert outcome.exit_code == 4
    assert "cannot be read, in 6 attempts: Cannot connect to host" in outcome.stderr


def test_local_copies_by_simplecache(packed, server, tmp_path, monkeypatch):
    server.always = Answer(range_honoured=False)
    files, shards = crops_of(packed[0]), crops_of(f"simplecache::{server.url}")
    for key in keys():
        assert torch.equal(shards[key][0], files[key][0])
    assert len([each for each in server.paths if each.endswith(".tar")]) == 8  # of each shard the size, then all of it
    monkeypatch.setitem(conf, "simplecache", {"cache_storage": str(tmp_path)})
    with pytest.raises(DataError, match="expected a cache of each process, got a folder that all share"):
        scan_corpus(f"simplecache::{server.url}")


@pytest.fixture
def bucket(packed, monkeypatch):
    """Put the shards into a bucket of an S3 server and return their URL."""
    import s3fs
    from moto.server import ThreadedMotoServer

    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    files = s3fs.S3FileSystem()
    files.mkdir("bucket")
    files.put(str(packed[1]), "bucket/vox", recursive=True)
    yield "s3://bucket/vox"
    moto.stop()


def test_s3_shards_give_the_crops_of_files(packed, bucket):
    files, shards = crops_of(packed[0]), crops_of(bucket)
    assert shards.fingerprint == files.fingerprint
    for key in keys():
        assert torch.equal(shards[key][0], files[key][0])
    with pytest.raises(DataError, match="no such file"):
        scan_corpus(f"{bucket}-none")
