"""Files that are written whole or not at all."""

import pytest
import torch

from skmm._atomic import replacing


@pytest.mark.parametrize("durable", [False, True])
def test_the_new_file_takes_the_place_of_the_old_one(tmp_path, durable):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with replacing(path, durable=durable) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_error_the_old_file_is_as_it_was(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        _interrupted(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _interrupted(path):
    with replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise KeyboardInterrupt


def test_torch_writes_to_the_temporary_file(tmp_path):
    with replacing(tmp_path / "weights.pt") as temporary:
        torch.save({"a": torch.ones(2)}, temporary)
    assert torch.load(tmp_path / "weights.pt")["a"].tolist() == [1.0, 1.0]
