"""The real data against the facts of their sources."""

import functools

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmm import Modalities, datasets
from skmm.datasets import _base

FETCHERS = [name for name in datasets.__all__ if name.startswith("fetch_")]
SMALL = {"fetch_mnist": {"subset": "test"}, "fetch_fsdd": {"subset": "test", "duration": 0.05}}


@pytest.mark.parametrize("name", FETCHERS)
def test_forms_agree(name, skmm_data):
    fetch = functools.partial(getattr(datasets, name), **SMALL.get(name, {}))
    made = fetch()
    X, y = fetch(return_X_y=True)
    frame = fetch(as_frame=True)
    assert isinstance(made.data, Modalities)
    assert len(X) == len(y) == len(made.target) == len(frame.data)
    assert frame.data.columns.nlevels == 2
    assert_array_equal(y, made.target)
    assert_array_equal(frame.target, made.target)
    pd.testing.assert_index_equal(frame.target.index, frame.data.index)
    split = Modalities.from_frame(frame.data)
    assert split.names == made.data.names
    assert_array_equal(split.missing, made.data.missing)
    for modality in X.names:
        assert_array_equal(X[modality], made.data[modality])
        assert_array_equal(np.asarray(split[modality]).reshape(X[modality].shape), X[modality])
        if X[modality].ndim == 2:
            assert len(made.feature_names[modality]) == X[modality].shape[1]
    for field in (":License:", ":Missing:", "Origin", "References"):
        assert field in made.DESCR


@pytest.mark.parametrize(
    ("name", "parameters", "shapes", "counts"),
    [
        ("mnist", {"variant": "halves", "subset": "test"}, {"left": 392, "right": 392}, None),
        ("mnist", {"variant": "labels", "subset": "test"}, {"image": 784, "label": None}, None),
        (
            "mfeat",
            {},
            {"fac": 216, "fou": 76, "kar": 64, "mor": 6, "pix": 240, "zer": 47},
            [200] * 10,
        ),
        (
            "wikipedia",
            {"subset": "train"},
            {"image": 128, "text": 10},
            [138, 272, 244, 248, 202, 178, 186, 144, 214, 347],
        ),
        (
            "wikipedia",
            {"subset": "test"},
            {"image": 128, "text": 10},
            [34, 88, 96, 85, 65, 58, 51, 41, 71, 104],
        ),
        ("fsdd", {"subset": "test", "duration": 0.5}, {"audio": 4000}, [30] * 10),
        ("mvclust", {"name": "100Leaves"}, {"margin": 64, "shape": 64, "texture": 64}, [16] * 100),
        ("mvclust", {"name": "BBCSport"}, {"segment1": 3183, "segment2": 3203}, None),
        (
            "mvclust",
            {"name": "ORL"},
            {"view1": 512, "view2": 59, "view3": 864, "view4": 254},
            [10] * 40,
        ),
        (
            "mvclust",
            {"name": "MSRCV1"},
            {"cent": 1302, "cm": 48, "gist": 512, "hog": 100, "lbp": 256, "sift": 210},
            [30] * 7,
        ),
        ("mvclust", {"name": "LandUse-21"}, {"view1": 20, "view2": 59, "view3": 40}, [100] * 21),
        ("mvclust", {"name": "Scene-15"}, {"view1": 20, "view2": 59, "view3": 40}, None),
        ("snareseq", {}, {"rna": 10, "atac": 19}, [201, 324, 379, 143]),
        ("scgem", {}, {"expression": 34, "methylation": 27}, [35, 40, 32, 36, 34]),
        (
            "breast_tcga",
            {"subset": "train"},
            {"mrna": 200, "mirna": 184, "protein": 142},
            [45, 30, 75],
        ),
        ("nutrimouse", {}, {"gene": 120, "lipid": 21}, [8] * 5),
        ("russett", {}, {"agriculture": 3, "industry": 2, "politics": 6}, [15, 12, 20]),
    ],
)
def test_shapes_and_classes(name, parameters, shapes, counts, skmm_data):
    X, y = getattr(datasets, f"fetch_{name}")(return_X_y=True, **parameters)
    found = {modality: (*values.shape, None)[1] for modality, values in X.items()}
    assert found == shapes
    assert not X.missing.any(axis=None)
    assert y.min() == 0
    if counts:
        assert_array_equal(np.bincount(y), counts)


def test_wikipedia_rows_match_their_lists(skmm_data):
    made = datasets.fetch_wikipedia()
    assert_array_equal(made.split, np.repeat(["train", "test"], [2173, 693]))
    assert made.target_names[made.target[0]] == "media"  # the sixth
    assert made.image_ids[0] == "ceb47321a83dd824cec2d5d3f2034765"
    assert_allclose(made.data["text"].sum(axis=1), 1, atol=1e-4)


def test_fsdd_is_padded_or_cut(skmm_data):
    cut = datasets.fetch_fsdd(subset="test", duration=0.25)
    whole = datasets.fetch_fsdd(subset="test", duration=None)
    assert whole.data["audio"].shape[1] == whole.lengths.max()
    assert_array_equal(cut.data["audio"], whole.data["audio"][:, :2000])
    beyond = np.arange(whole.lengths.max()) >= whole.lengths[:, None]
    assert not whole.data["audio"][beyond].any()
    assert np.all(cut.takes < 5)
    assert len(set(cut.speakers)) == 6
    train = datasets.fetch_fsdd(subset="train", duration=0.01)
    assert len(train.target) == 2700
    assert np.all(train.takes >= 5)


def test_breast_tcga_lacks_proteins_in_test(skmm_data):
    made = datasets.fetch_breast_tcga()
    missing = made.data.missing
    assert_array_equal(missing["protein"], made.split == "test")
    assert not missing[["mrna", "mirna"]].any(axis=None)
    test = datasets.fetch_breast_tcga(subset="test")
    assert test.data["protein"].shape == (70, 142)
    assert_array_equal(np.bincount(test.target), [21, 14, 35])


def test_cll_missingness_and_markers(skmm_data):
    made = datasets.fetch_cll()
    assert made.data.missing.sum().to_dict() == {"drugs": 16, "mutations": 0}
    assert not {"IGHV", "trisomy12"} & set(made.feature_names["mutations"])
    assert (made.target == 1).sum() == 104
    assert np.isnan(made.target).sum() == 12
    other = datasets.fetch_cll(target="trisomy12", drop_markers=False)
    assert other.data["mutations"].shape == (200, 69)
    column = other.feature_names["mutations"].index("trisomy12")
    assert_array_equal(other.data["mutations"][:, column], other.target)
    drug = made.feature_names["drugs"][0].rsplit("_", 1)[0]
    assert made.drugs.loc[drug, "name"] == "navitoclax"
    assert_array_equal(made.metadata.index, made.patients)


def test_scmt_missing_cells_and_entries(skmm_data):
    made = datasets.fetch_scmt()
    assert made.data.missing.sum().to_list() == [6, 4, 4, 4]
    assert (~made.data.missing.any(axis=1)).sum() == 77
    assert_array_equal(np.bincount(made.target), [16, 71])
    observed = {
        name: 1 - np.isnan(values[~made.data.missing[name].to_numpy()]).mean()
        for name, values in made.data.items()
    }
    assert_allclose(list(observed.values()), [1, 0.156, 0.237, 0.125], atol=1e-3)


def test_three_sources_are_sparse_counts(skmm_data):
    X, y = datasets.fetch_mvclust("3-sources", return_X_y=True)
    assert set(X.kinds.values()) == {"count"}
    assert [values.shape for values in X.values()] == [(169, 3560), (169, 3631), (169, 3068)]
    assert all(values.format == "csr" for values in X.values())
    assert_array_equal(np.bincount(y), [56, 21, 11, 18, 51, 12])
    frame, _ = datasets.fetch_mvclust("3-sources", as_frame=True, return_X_y=True)
    assert_array_equal(frame["bbc"], X["bbc"].toarray())


def test_local_files_are_the_public_ones(skmm_data):
    """The files with which these tests were written have the checksums of the downloads."""
    present = [f for f in _base._REGISTERED.values() if (skmm_data / f.path).is_file()]
    assert present
    for file in present:
        path = skmm_data / file.path
        digest = file.content(path) if file.content else _base.sha256(path.read_bytes())
        assert digest == file.sha256, file.path
