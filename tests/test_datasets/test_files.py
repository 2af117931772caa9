"""Files: where they are looked for, downloads, checksums, errors."""

import functools
import gzip
import hashlib
import http.server
import inspect
import threading

import pytest
from numpy.testing import assert_array_equal

from skmm import datasets
from skmm.datasets import _base, _mnist, _nutrimouse
from skmm.datasets._base import RemoteFile

FETCHERS = [name for name in datasets.__all__ if name.startswith("fetch_")]


@pytest.fixture
def server(tmp_path):
    """Serve a folder on the loopback interface; return the folder and its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    folder = tmp_path / "server"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return an empty data home; no other folder is looked into."""
    monkeypatch.delenv("SKMM_DATA", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "home"


@pytest.fixture
def mice(server, monkeypatch):
    """Make fetch_nutrimouse download a small copy from the local server; return its requests."""
    folder, address = server
    contents = {
        "gene.csv": '"g1","g2"\n1,2\n3,4\n5,6\n',
        "lipid.csv": '"l1"\n0.5\n1.5\n2.5\n',
        "diet.csv": '"diet"\n"sun"\n"coc"\n"sun"\n',
        "genotype.csv": '"genotype"\n"wt"\n"ppar"\n"wt"\n',
    }
    files = []
    for name, text in contents.items():
        (folder / name).write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        files.append(RemoteFile(f"nutrimouse/{name}", f"{address}/{name}", digest))
    monkeypatch.setattr(_nutrimouse, "FILES", files)
    return folder


def test_download_and_then_no_network(mice, home):
    made = datasets.fetch_nutrimouse(data_home=home)
    assert_array_equal(made.data["gene"], [[1, 2], [3, 4], [5, 6]])
    assert [made.target_names[code] for code in made.target] == ["sun", "coc", "sun"]
    for path in mice.iterdir():
        path.unlink()
    again = datasets.fetch_nutrimouse(data_home=home, target="genotype", download_if_missing=False)
    assert_array_equal(again.target, [1, 0, 1])


def test_download_goes_to_the_cache_by_default(mice, home):
    datasets.fetch_nutrimouse()
    assert (datasets.get_data_home() / "nutrimouse" / "gene.csv").is_file()
    datasets.clear_data_home()
    assert not datasets.get_data_home().joinpath("nutrimouse").exists()


def test_clear_data_home_keeps_other_files(mice, home):
    datasets.fetch_nutrimouse(data_home=home)
    other = home / "nutrimouse" / "notes.txt"
    other.write_text("mine")
    datasets.clear_data_home(home)
    assert list(home.rglob("*.*")) == [other]


def test_local_files_need_no_network_and_no_checksum(home, monkeypatch, tmp_path, mice):
    for place in ("given", "variable"):
        folder = tmp_path / place / "nutrimouse"
        folder.mkdir(parents=True)
        for path in mice.iterdir():
            (folder / path.name).write_text(path.read_text().replace("g1", f"{place}_gene"))
    monkeypatch.setenv("SKMM_DATA", str(tmp_path / "variable"))
    for path in mice.iterdir():
        path.unlink()
    from_variable = datasets.fetch_nutrimouse()
    assert from_variable.feature_names["gene"] == ["variable_gene", "g2"]
    from_given = datasets.fetch_nutrimouse(data_home=str(tmp_path / "given"))
    assert from_given.feature_names["gene"] == ["given_gene", "g2"]


def test_wrong_download_is_refused_and_not_kept(mice, home):
    (mice / "gene.csv").write_text("something else")
    with pytest.raises(OSError, match=r"(?s)hash.*nutrimouse/gene.csv from http://127") as caught:
        datasets.fetch_nutrimouse(data_home=home)
    assert "SKMM_DATA" in str(caught.value)
    assert not (home / "nutrimouse" / "gene.csv").exists()


def test_unreachable_server_says_what_to_do(home):
    file = RemoteFile("a/b.csv", "http://127.0.0.1:9/b.csv", "0" * 64)
    with pytest.raises(OSError, match=r"(?s)Download failed.*a/b.csv from http.*SKMM_DATA"):
        _base.fetch_files([file], data_home=home, download_if_missing=True)


def test_content_is_compared_however_it_is_compressed(server, home):
    folder, address = server
    content = b"the same content" * 100
    (folder / "x.gz").write_bytes(gzip.compress(content, compresslevel=1, mtime=3))
    digest = hashlib.sha256(content).hexdigest()
    file = RemoteFile("x/x.gz", f"{address}/x.gz", digest, _mnist._decompressed_sha256)
    (path,) = _base.fetch_files([file], data_home=home, download_if_missing=True).values()
    assert gzip.decompress(path.read_bytes()) == content
    path.unlink()
    (folder / "x.gz").write_bytes(gzip.compress(b"other content"))
    with pytest.raises(OSError, match="its content is not what is expected"):
        _base.fetch_files([file], data_home=home, download_if_missing=True)
    assert not path.exists()


def test_local_mnist_with_other_content_is_refused(home):
    folder = home / "mnist"
    folder.mkdir(parents=True)
    for file in _mnist.FILES:
        (home / file.path).write_bytes(gzip.compress(b"not a digit"))
    with pytest.raises(ValueError, match=r"train-images.*is not MNIST's"):
        datasets.fetch_mnist(data_home=home)


@pytest.mark.parametrize("name", FETCHERS)
def test_missing_files_are_named(name, home):
    fetch = getattr(datasets, name)
    with pytest.raises(FileNotFoundError, match=r"(?s) from https://.*'.*home'.*SKMM_DATA"):
        fetch(data_home=home, download_if_missing=False)
    assert not home.exists()


@pytest.mark.parametrize("name", FETCHERS)
def test_fetchers_share_their_parameters(name):
    parameters = inspect.signature(getattr(datasets, name)).parameters
    shared = {
        "data_home": None,
        "download_if_missing": True,
        "return_X_y": False,
        "as_frame": False,
    }
    last = list(parameters.values())[-4:]
    assert {p.name: p.default for p in last} == shared
    assert list(shared) == [p.name for p in last]
    positional = [p for p in parameters.values() if p.kind is not p.KEYWORD_ONLY]
    assert len(positional) <= 1


def test_every_file_has_a_checksum_and_a_pinned_address():
    for file in _base._REGISTERED.values():
        assert len(bytes.fromhex(file.sha256)) == 32
        assert file.url.startswith("https://")


@pytest.mark.parametrize(
    ("fetch", "parameters", "message"),
    [
        (datasets.fetch_mnist, {"variant": "thirds"}, "variant must be one of .* got 'thirds'"),
        (datasets.fetch_mnist, {"subset": "dev"}, "subset must be one of .* got 'dev'"),
        (datasets.fetch_mnist, {"as_images": True, "as_frame": True}, "as_frame=True needs"),
        (datasets.fetch_wikipedia, {"subset": ["test"]}, "subset must be one of"),
        (datasets.fetch_fsdd, {"subset": "tune"}, "subset must be one of"),
        (datasets.fetch_fsdd, {"duration": 0}, "duration must be positive or None, got 0"),
        (datasets.fetch_mvclust, {"name": "Caltech"}, "name must be one of .*'MSRCV1'"),
        (datasets.fetch_breast_tcga, {"subset": 1}, "subset must be one of"),
        (datasets.fetch_cll, {"target": "age"}, "target must be one of"),
        (datasets.fetch_nutrimouse, {"target": "age"}, "target must be one of"),
    ],
)
def test_fetchers_refuse(fetch, parameters, message, home):
    with pytest.raises(ValueError, match=message):
        fetch(data_home=home, download_if_missing=False, **parameters)


def test_unknown_labels_are_refused():
    assert_array_equal(_base.encode(["b", "a"], ["a", "b"]), [1, 0])
    with pytest.raises(ValueError, match=r"among \['a', 'b'\], got \{'c'\}"):
        _base.encode(["c"], ["a", "b"])
