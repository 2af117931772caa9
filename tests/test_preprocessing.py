"""Tokenizer, ImageScaler and LogMel: alone, in a Pipeline, and in PerModality."""

from __future__ import annotations

import copy
import pickle
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import estimator_checks, get_tags

from skmm import Modalities, MultimodalAutoencoder
from skmm.compose import ConcatModalities, PerModality
from skmm.datasets import fetch_fsdd
from skmm.preprocessing import ImageScaler, LogMel, Tokenizer

RATE = 8000
TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "A dog barks; the fox, a quick one, runs.",
    "Crème brûlée, a café and THE dog!",
    "",
    "fox fox fox",
    "naïve   cafe 42",
]
RNG = np.random.RandomState(0)
GREY = RNG.randint(0, 256, (6, 7, 5), dtype=np.uint8)
COLOUR = RNG.randint(0, 256, (6, 7, 5, 3), dtype=np.uint8)
CLIPS = [0.1 * RNG.standard_normal(n) for n in (3000, 1000, 2999, 5, 256, 1700)]
WAVES = 0.1 * RNG.standard_normal((6, 2000))
DATA = {"Tokenizer": TEXTS, "ImageScaler": COLOUR, "LogMel": CLIPS}
DEFAULT = [Tokenizer(), ImageScaler(), LogMel(sampling_rate=RATE)]

each = pytest.mark.parametrize("transformer", DEFAULT, ids=lambda t: type(t).__name__)


def _data(transformer):
    return DATA[type(transformer).__name__]


def _objects(samples):
    """Return a 1-D array of objects, whatever they are."""
    out = np.empty(len(samples), dtype=object)
    out[:] = list(samples)
    return out


# What all three keep

CHECKS = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_param_validation",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]


@each
@pytest.mark.parametrize("check", CHECKS)
def test_checks_of_scikit_learn_without_tables(transformer, check):
    getattr(estimator_checks, check)(type(transformer).__name__, clone(transformer))


@each
def test_fit_is_idempotent_and_leaves_its_data_alone(transformer):
    X = copy.deepcopy(_data(transformer))
    params = transformer.get_params()
    fitted = clone(transformer)
    assert fitted.fit(X) is fitted
    first = fitted.transform(X)
    assert_array_equal(fitted.fit(X).transform(X), first)
    assert_array_equal(clone(transformer).fit_transform(X), first)
    assert fitted.get_params() == params
    for now, before in zip(X, _data(transformer), strict=True):
        assert_array_equal(now, before)


@each
def test_copies_give_the_same(transformer):
    X = _data(transformer)
    fitted = clone(transformer).fit(X)
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert_array_equal(other.transform(X), fitted.transform(X))


@each
def test_rows_do_not_depend_on_each_other(transformer):
    X = _data(transformer)
    fitted = clone(transformer).fit(X)
    whole = fitted.transform(X)
    for i in range(len(X)):
        assert_allclose(fitted.transform(X[i : i + 1])[0], whole[i], rtol=1e-6)


@each
def test_state_before_and_after_fit(transformer):
    transformer = clone(transformer)
    for method in ("transform", "inverse_transform"):
        if hasattr(transformer, method):
            with pytest.raises(NotFittedError):
                getattr(transformer, method)(_data(transformer))
    transformer.fit(_data(transformer))
    assert not hasattr(transformer, "n_features_in_")
    assert not get_tags(transformer).input_tags.two_d_array


@each
def test_empty_and_single_samples_are_refused(transformer):
    with pytest.raises(ValueError, match="X is empty"):
        clone(transformer).fit([])
    with pytest.raises(TypeError, match="Put a single sample into a list"):
        clone(transformer).fit("fox.png")
    with pytest.raises(TypeError, match="got 3"):
        clone(transformer).fit(3)


@each
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_samples_are_refused_with_a_way_out(transformer, missing):
    X = [*_data(transformer), missing, missing]
    with pytest.raises(ValueError, match=r"sample 6 is .* \(2 in all\)\. .*mark them as missing"):
        clone(transformer).fit(X)


# Tokenizer


def _expected_vocabulary(texts, **params):
    """Return CountVectorizer's tokens, by frequency and then by name."""
    pattern = {} if "analyzer" in params else {"token_pattern": r"(?u)\b\w+\b"}
    counter = CountVectorizer(**{**pattern, **params})
    counts = np.asarray(counter.fit_transform(texts).sum(axis=0)).ravel()
    names = counter.get_feature_names_out()
    return [str(names[i]) for i in np.lexsort([names, -counts])]


ANALYSERS = [
    {},
    {"lowercase": False},
    {"strip_accents": "unicode"},
    {"strip_accents": "ascii"},
    {"token_pattern": r"(?u)\b\w\w+\b"},
    {"analyzer": "char"},
    {"analyzer": str.split},
]


@pytest.mark.parametrize("params", ANALYSERS, ids=str)
def test_vocabulary_is_that_of_count_vectorizer(params):
    tokenizer = Tokenizer(**params).fit(TEXTS)
    expected = _expected_vocabulary(TEXTS, **params)
    assert list(tokenizer.vocabulary_) == expected
    assert list(tokenizer.vocabulary_.values()) == list(range(2, len(expected) + 2))
    assert tokenizer.vocabulary_size_ == len(expected) + 2


def test_options_of_the_analyser_have_an_effect():
    found = [tuple(Tokenizer(**params).fit(TEXTS).vocabulary_) for params in ANALYSERS]
    found[3] += ("ascii",)  # the same as unicode on these texts
    assert len(set(found)) == len(ANALYSERS)


def test_ids_are_the_words_in_order():
    tokenizer = Tokenizer().fit(TEXTS)
    ids = tokenizer.transform(["the dog zzz", "fox", "", "?!"])
    the, dog, fox = (tokenizer.vocabulary_[word] for word in ("the", "dog", "fox"))
    assert ids.dtype == np.int64
    assert ids.shape == (4, 9)  # both of the first texts have 9 words
    assert_array_equal(ids[:, :4], [[the, dog, 1, 0], [fox, 0, 0, 0], [0] * 4, [0] * 4])
    assert not ids[:, 4:].any()


def test_long_texts_lose_their_end_and_short_ones_are_filled():
    tokenizer = Tokenizer(max_length=3).fit(TEXTS)
    ids = tokenizer.transform(TEXTS)
    assert ids.shape == (6, tokenizer.max_length_) == (6, 3)
    assert tokenizer.inverse_transform(ids)[0] == "the quick brown"
    assert Tokenizer(max_length=20).fit_transform(TEXTS).shape == (6, 20)
    assert_array_equal(Tokenizer().fit(["a b", "a"]).transform(["b a b a"]), [[3, 2]])


@pytest.mark.parametrize(
    "params", [{}, {"max_length": 2}, {"min_frequency": 2}, {"max_vocabulary": 3}], ids=str
)
def test_every_id_occurs_in_training(params):
    tokenizer = Tokenizer(**params)
    found = set(np.unique(tokenizer.fit_transform(TEXTS))) - {0, 1}
    assert found == set(range(2, tokenizer.vocabulary_size_))


def test_rare_tokens_become_unknown():
    frequencies = Counter(["a", "b", "b", "c", "c", "c", "d", "d", "d"])
    text = " ".join(frequencies.elements())
    assert Tokenizer(min_frequency=2).fit([text]).vocabulary_ == {"c": 2, "d": 3, "b": 4}
    assert Tokenizer(max_vocabulary=1).fit([text]).vocabulary_ == {"c": 2}
    assert_array_equal(
        Tokenizer(max_vocabulary=1).fit_transform([text]), [[1, 1, 1, 2, 2, 2, 1, 1, 1]]
    )


@pytest.mark.parametrize(
    "texts",
    [
        np.array(TEXTS),
        np.array(TEXTS, dtype=object)[:, None],
        tuple(TEXTS),
        pd.Series(TEXTS, index=range(6, 0, -1)),
        pd.Series(TEXTS, dtype="category"),
        pd.DataFrame({"caption": TEXTS}),
    ],
    ids=["array", "n x 1", "tuple", "Series", "categories", "DataFrame"],
)
def test_texts_come_in_many_columns(texts):
    assert_array_equal(Tokenizer().fit_transform(texts), Tokenizer().fit_transform(TEXTS))


def test_ids_turn_back_into_tokens():
    tokenizer = Tokenizer().fit(TEXTS)
    back = tokenizer.inverse_transform(tokenizer.transform(TEXTS))
    assert back[0] == "the quick brown fox jumps over the lazy dog"
    assert list(back[3:]) == ["", "fox fox fox", "naïve cafe 42"]
    assert tokenizer.inverse_transform([[0, 1, 0, tokenizer.vocabulary_["fox"]]])[0] == "<unk> fox"
    char = Tokenizer(analyzer="char")
    assert char.inverse_transform(char.fit_transform(["a  fox"]))[0] == "a fox"


def test_ids_as_frame():
    frame = Tokenizer(max_length=2).set_output(transform="pandas").fit_transform(pd.Series(TEXTS))
    assert list(frame.columns) == ["tokenizer0", "tokenizer1"]
    tokenizer = Tokenizer(max_length=2).fit(TEXTS)
    assert_array_equal(frame, tokenizer.transform(TEXTS))
    assert_array_equal(
        tokenizer.inverse_transform(frame), tokenizer.inverse_transform(frame.values)
    )


@pytest.mark.parametrize(
    ("params", "texts", "error", "match"),
    [
        ({}, ["", "?"], ValueError, "No token of 2 texts occurs min_frequency=1 times"),
        ({"min_frequency": 9}, TEXTS, ValueError, "Lower min_frequency"),
        ({}, ["fox", 3], TypeError, r"takes texts \(str\), got 3"),
        ({}, np.arange(3), TypeError, "got int64"),
        ({}, np.array([["a", "b"]]), TypeError, r"one column .* got shape \(1, 2\)"),
        ({}, {"text": TEXTS}, TypeError, "takes a list, array or Series of texts, got {"),
        ({"analyzer": lambda text: [1]}, ["a"], TypeError, "analyzer must return a list of str"),
        ({"max_length": 0}, TEXTS, ValueError, "max_length"),
        ({"analyzer": "byte"}, TEXTS, ValueError, "analyzer"),
    ],
    ids=range(9),
)
def test_tokenizer_refuses(params, texts, error, match):
    with pytest.raises(error, match=match):
        Tokenizer(**params).fit(texts)


def test_what_are_no_ids_is_refused():
    tokenizer = Tokenizer().fit(["a b"])
    with pytest.raises(ValueError, match=r"must be in \[0, 4\), got ids from -1 to 4"):
        tokenizer.inverse_transform([[-1, 4]])
    for ids in ([1, 2], [[0.5]]):
        with pytest.raises(TypeError, match="2-D array of integers"):
            tokenizer.inverse_transform(ids)


# ImageScaler


@pytest.mark.parametrize(
    ("images", "largest"),
    [
        (COLOUR, 255),
        (COLOUR.astype(np.uint16) * 257, 65535),
        (COLOUR > 99, 1),
        (COLOUR / 255, 1),
        (COLOUR.astype(np.float32) / 255, 1),
    ],
    ids=["uint8", "uint16", "bool", "float64", "float32"],
)
def test_pixels_are_divided_by_the_largest_of_their_type(images, largest):
    out = ImageScaler().fit_transform(images)
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    assert_allclose(out, images.transpose(0, 3, 1, 2) / largest, rtol=1e-6)


def test_grey_images_get_a_channel():
    scaler = ImageScaler().fit(GREY)
    assert scaler.image_shape_ == (1, 7, 5)
    assert_allclose(scaler.transform(GREY)[:, 0], GREY / 255, rtol=1e-6)
    assert_array_equal(scaler.transform(list(GREY)), scaler.transform(GREY[..., None]))


def test_bytes_come_back():
    for images in (GREY[..., None], COLOUR):
        scaler = ImageScaler().fit(images)
        back = scaler.inverse_transform(scaler.transform(images))
        assert back.dtype == np.uint8
        assert_array_equal(back, images)
    x = np.full((1, 1, 7, 5), [[-0.2], [0.0019], [0.002], [0.5], [0.999], [1.0], [1.5]])
    bytes_ = ImageScaler().fit(GREY).inverse_transform(x)
    assert_array_equal(bytes_[0, :, 0, 0], [0, 0, 1, 128, 255, 255, 255])


@pytest.mark.parametrize(
    "resample", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
)
@pytest.mark.parametrize("size", [(3, 4), (11, 9), (7, 5)], ids=str)
def test_sizes_change_as_pillow_changes_them(resample, size):
    calm = 64 + COLOUR // 2  # Pillow cuts off what overshoots bytes twice, we do once
    out = ImageScaler(size=size, resample=resample).fit_transform(calm)
    method = Image.Resampling[resample.upper()]
    expected = [Image.fromarray(x).resize(size[::-1], method) for x in calm]  # rounds twice
    assert_allclose(out.transpose(0, 2, 3, 1), np.array(expected) / 255, atol=1.5 / 255)
    wild = ImageScaler(size=size, resample=resample).fit_transform(COLOUR)
    assert 0 <= wild.min() <= wild.max() <= 1


def test_resampling_has_an_effect_and_sees_floats():
    assert not np.array_equal(
        ImageScaler(size=(3, 4)).fit_transform(GREY),
        ImageScaler(size=(3, 4), resample="nearest").fit_transform(GREY),
    )
    by_box = ImageScaler(size=(1, 1), resample="box").fit_transform(COLOUR)  # the mean
    assert_allclose(by_box[:, :, 0, 0], COLOUR.mean(axis=(1, 2)) / 255, rtol=1e-6)


def test_modes():
    grey = ImageScaler(mode="L").fit_transform(COLOUR)
    luma = COLOUR @ [0.299, 0.587, 0.114] / 255
    assert_allclose(grey[:, 0], luma, rtol=1e-5)
    pillow = [np.asarray(Image.fromarray(x).convert("L")) for x in COLOUR]
    assert_allclose(grey[:, 0], np.array(pillow) / 255, atol=1 / 255)
    assert_array_equal(ImageScaler(mode="L").fit_transform(GREY), ImageScaler().fit_transform(GREY))
    colour = ImageScaler(mode="RGB").fit_transform(GREY)
    assert_array_equal(colour, np.repeat(ImageScaler().fit_transform(GREY), 3, axis=1))


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(len(COLOUR))]
    for path, image in zip(paths, COLOUR, strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.mark.parametrize("form", [list, _objects, pd.Series, lambda x: np.array([*map(str, x)])])
def test_images_from_paths_and_pillow(files, form):
    expected = ImageScaler().fit_transform(COLOUR)
    assert_array_equal(ImageScaler().fit_transform(form(files)), expected)
    if form is not list:
        return
    opened = [Image.open(path) for path in files]
    assert_array_equal(ImageScaler().fit_transform(opened), expected)
    for image in opened:
        image.close()


def test_images_of_different_sizes_and_modes(files):
    mixed = [files[0], COLOUR[1], GREY[2], Image.fromarray(GREY[3, :4]), COLOUR[4] / 255]
    out = ImageScaler(size=(6, 6), mode="RGB").fit_transform(mixed)
    for i, image in enumerate((COLOUR[0], COLOUR[1], GREY[2], GREY[3, :4], COLOUR[4])):
        alone = ImageScaler(size=(6, 6), mode="RGB").fit_transform(image[None])
        assert_allclose(out[i], alone[0], atol=1e-6)


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "CMYK"])
def test_other_modes_of_pillow_are_converted_on_demand(mode):
    image = Image.fromarray(COLOUR[0]).convert(mode)
    with pytest.raises(ValueError, match=f"Pillow's mode '{mode}'. Give mode="):
        ImageScaler().fit([image])
    out = ImageScaler(mode="RGB").fit_transform([image])
    assert_allclose(out[0].transpose(1, 2, 0), np.asarray(image.convert("RGB")) / 255, rtol=1e-6)


def test_files_of_16_bits_and_one_bit(tmp_path):
    deep = np.arange(6, dtype=np.uint16).reshape(2, 3) * 13107
    Image.fromarray(deep).save(tmp_path / "deep.png")
    out = ImageScaler().fit_transform([tmp_path / "deep.png"])
    assert_allclose(out[0, 0], np.arange(6).reshape(2, 3) / 5, rtol=1e-6)
    Image.fromarray(GREY[0] > 99).save(tmp_path / "bit.png")
    assert_array_equal(ImageScaler().fit_transform([tmp_path / "bit.png"])[0, 0], GREY[0] > 99)


def test_photographs_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter: its left edge is the top of what is seen
    Image.fromarray(COLOUR[0]).save(tmp_path / "turned.png", exif=exif)
    out = ImageScaler().fit_transform([tmp_path / "turned.png"])
    assert_allclose(out[0].transpose(1, 2, 0), np.rot90(COLOUR[0], -1) / 255, rtol=1e-6)


def test_photographs():
    photographs = load_sample_images().images
    scaler = ImageScaler(size=(24, 32)).fit(photographs)
    out = scaler.transform(photographs)
    assert out.shape == (2, 3, 24, 32)
    assert_allclose(out.mean(axis=(2, 3)), np.mean(photographs, axis=(1, 2)) / 255, atol=0.02)


@pytest.mark.parametrize(
    ("params", "images", "match"),
    [
        ({}, np.array([[[0.0, 255.0]]]), r"floats from 0 to 255, expected \[0, 1\]"),
        ({}, np.array([[[-1.0, 0.0]]]), "floats from -1 to 0"),
        ({}, np.full((2, 3, 3), np.nan), "mark them as missing"),
        ({}, GREY.astype(np.int64), r"dtype int64.*astype\(np.uint8\)"),
        ({}, COLOUR.transpose(0, 3, 1, 2), r"\(6, 3, 7, 5\).*channels last"),
        ({}, GREY[0], "samples come first"),
        ({}, np.zeros((2, 0, 3, 1), np.uint8), r"shape \(2, 0, 3, 1\)"),
        ({}, [COLOUR[0], COLOUR[1, :3]], r"image 1 is \(3, 5, 3\).*Give size="),
        ({}, [COLOUR[0], GREY[1]], r"image 1 is \(7, 5, 1\).*mode="),
        ({"mode": "RGB"}, COLOUR[..., :2], "2 channels, which cannot be converted to mode='RGB'"),
        ({"size": (3,)}, COLOUR, "size must be .height, width."),
        ({"size": (3, 0)}, COLOUR, "size must be .height, width."),
        ({"resample": "cubic"}, COLOUR, "resample"),
        ({"mode": "HSV"}, COLOUR, "mode"),
    ],
    ids=range(14),
)
def test_image_scaler_refuses(params, images, match):
    with pytest.raises(ValueError, match=match):
        ImageScaler(**params).fit(images)


def test_image_scaler_refuses_other_things():
    with pytest.raises(TypeError, match="as arrays, Pillow images or paths, got int"):
        ImageScaler().fit([1, 2])
    with pytest.raises(TypeError, match=r"Convert an array of objects to numbers with \.astype"):
        ImageScaler().fit(GREY.astype(object))
    with pytest.raises(TypeError, match="Put a single sample into a list"):
        ImageScaler().fit(Image.fromarray(GREY[0]))
    scaler = ImageScaler().fit(COLOUR)
    for images in (GREY, COLOUR[:, :3]):
        with pytest.raises(ValueError, match=r"fitted with \(3, 7, 5\)"):
            scaler.transform(images)
    with pytest.raises(ValueError, match=r"fitted with \(3, 7, 5\)"):
        scaler.inverse_transform(COLOUR)
    with pytest.raises(ValueError, match="NaN or infinity"):
        scaler.inverse_transform(np.full((1, 3, 7, 5), np.nan))


def test_without_pillow(monkeypatch, files):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert ImageScaler(mode="L").fit_transform(COLOUR).shape == (6, 1, 7, 5)
    for scaler, X in ((ImageScaler(size=(3, 3)), COLOUR), (ImageScaler(), files)):
        with pytest.raises(ImportError, match=r'pip install "skmm\[image\]"'):
            scaler.fit(X)


# LogMel


def _slaney(mel):
    """Return the frequency of a mel in Hz."""
    return 200 / 3 * mel if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def _spectrogram(wave, rate, n_fft, hop, n_mels, f_max):
    """Return the mel power by the definition, one frame and one band after the other."""
    padded = np.concatenate([np.zeros(n_fft // 2), wave, np.zeros(n_fft)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    starts = range(0, len(wave) + 1, hop)
    frames = np.array([np.abs(np.fft.rfft(window * padded[s : s + n_fft])) ** 2 for s in starts])
    mel_max = 15 + 27 * np.log(f_max / 1000) / np.log(6.4)
    edges = [_slaney(m) for m in np.linspace(0, mel_max, n_mels + 2)]
    out = np.zeros((n_mels, len(frames)))
    for m, (low, tip, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for k, f in enumerate(np.arange(n_fft // 2 + 1) * rate / n_fft):
            height = min((f - low) / (tip - low), (high - f) / (high - tip))
            out[m] += max(height, 0) * 2 / (high - low) * frames[:, k]
    return out


@pytest.mark.parametrize(
    ("n_fft", "hop", "n_mels", "f_max"),
    [(256, 128, 64, 4000), (301, 50, 20, 3000), (256, 300, 40, 4000)],
)
def test_values_follow_the_definition(n_fft, hop, n_mels, f_max):
    log_mel = LogMel(sampling_rate=RATE, n_fft=n_fft, hop_length=hop, n_mels=n_mels, f_max=f_max)
    images = log_mel.fit_transform(CLIPS)
    assert images.dtype == np.float32
    assert images.shape == (len(CLIPS), 1, n_mels, 1 + 3000 // hop)
    for image, clip in zip(images[:, 0], CLIPS, strict=True):
        power = _spectrogram(clip, RATE, n_fft, hop, n_mels, f_max)
        decibels = np.maximum(10 * np.log10(power / power.max()), -80)
        assert_allclose(image[:, : power.shape[1]], decibels, atol=1e-4)
        assert (image[:, power.shape[1] :] == -80).all()


def test_power_of_a_number():
    loud = LogMel(sampling_rate=RATE, reference=2.0, floor=-1000.0).fit_transform(CLIPS[:1])[0, 0]
    power = _spectrogram(CLIPS[0], RATE, 256, 128, 64, 4000)
    assert_allclose(loud, 10 * np.log10(power / 2), atol=1e-3)
    floored = LogMel(sampling_rate=RATE, reference=2.0, floor=-20.0).fit_transform(CLIPS[:1])
    assert_array_equal(floored[0, 0], np.maximum(loud, -20))


def test_loudness():
    quiet, loud = WAVES, 10 * WAVES
    by_max = LogMel(sampling_rate=RATE, reference="max").fit(WAVES)
    assert_allclose(by_max.transform(loud), by_max.transform(quiet), atol=1e-4)
    assert_allclose(by_max.transform(quiet).max(axis=(1, 2, 3)), 0, atol=1e-6)
    by_one = LogMel(sampling_rate=RATE, reference=1.0, floor=-300.0).fit(WAVES)
    assert_allclose(by_one.transform(loud) - by_one.transform(quiet), 20, atol=1e-3)


@pytest.mark.parametrize("band", [0, 5, 20, 40, 63])
def test_a_pure_tone_is_in_its_band(band):
    log_mel = LogMel(sampling_rate=RATE, n_fft=1024).fit(WAVES)
    frequency = log_mel.mel_frequencies_[band]
    tone = np.sin(2 * np.pi * frequency * np.arange(4000) / RATE)
    image = LogMel(sampling_rate=RATE, n_fft=1024).fit_transform([tone])[0, 0]
    assert (image[:, 1:-1].argmax(axis=0) == band).all()
    assert image[(band + 32) % 64, 2:-2].max() < -40


@pytest.mark.parametrize("reference", ["max", 1.0])
def test_silence_is_finite(reference):
    clips = [np.zeros(500), np.full(500, 1e-300), np.eye(1, 500)[0]]
    out = LogMel(sampling_rate=RATE, reference=reference).fit_transform(clips)
    assert (out[:2] == -80).all()
    assert np.isfinite(out).all()
    assert out[2].max() > -80


def test_number_of_frames():
    log_mel = LogMel(sampling_rate=RATE).fit(CLIPS)
    assert log_mel.n_frames_ == 1 + 3000 // 128
    for n_frames in (3, 40):
        cut = LogMel(sampling_rate=RATE, n_frames=n_frames, reference=1.0).fit_transform(CLIPS)
        whole = LogMel(sampling_rate=RATE, reference=1.0).fit_transform(CLIPS)
        n_both = min(n_frames, whole.shape[3])
        assert cut.shape[3] == n_frames
        assert_allclose(cut[..., :n_both], whole[..., :n_both], atol=1e-4)
        assert (cut[..., n_both:] == -80).all()
    assert log_mel.transform([np.ones(9000)]).shape == (1, 1, 64, log_mel.n_frames_)


@pytest.mark.parametrize(
    ("rate", "n_fft"),
    [(8000, 256), (11025, 512), (16000, 512), (22050, 1024), (44100, 2048), (48000, 2048)],
)
def test_windows_last_25_ms_and_no_band_is_empty(rate, n_fft):
    log_mel = LogMel(sampling_rate=rate).fit(WAVES)
    assert log_mel.n_fft_ == n_fft
    assert n_fft / 2 < 0.025 * rate <= n_fft
    assert log_mel.hop_length_ == n_fft // 2


def test_triangles_have_area_one():
    log_mel = LogMel(sampling_rate=RATE, n_fft=2**16, n_mels=12, f_min=100, f_max=3500).fit(WAVES)
    frequencies = np.fft.rfftfreq(2**16, 1 / RATE)
    assert_allclose(np.trapezoid(log_mel.filters_, frequencies, axis=1), 1, rtol=1e-4)
    assert_allclose(
        frequencies[log_mel.filters_.argmax(axis=1)], log_mel.mel_frequencies_, atol=0.1
    )
    inside = frequencies[(log_mel.filters_ > 0).any(axis=0)]
    assert_allclose([inside[0], inside[-1]], [100, 3500], atol=0.2)


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_integers_are_fractions_of_full_scale(dtype):
    largest = float(2 ** (8 * dtype().itemsize - 1))
    waves = np.rint(WAVES / 10 * largest).astype(dtype)
    log_mel = LogMel(sampling_rate=RATE, reference=1.0)
    assert_array_equal(log_mel.fit_transform(waves), log_mel.fit_transform(waves / largest))


@pytest.mark.parametrize(
    "form",
    [list, lambda X: X.tolist(), _objects, lambda X: pd.Series(list(X)), pd.DataFrame],
    ids=["list", "lists", "objects", "Series", "DataFrame"],
)
def test_waveforms_come_in_many_forms(form):
    log_mel = LogMel(sampling_rate=RATE)
    assert_array_equal(log_mel.fit_transform(form(WAVES)), log_mel.fit_transform(WAVES))


@pytest.mark.parametrize("n_at_a_time", [1, 7, 60])
def test_many_clips_are_read_in_chunks(monkeypatch, n_at_a_time):
    clips = [WAVES[i % 6, : 300 + i] for i in range(60)]
    log_mel = LogMel(sampling_rate=RATE, n_mels=20).fit(clips)
    expected = [log_mel.transform([clip])[0] for clip in clips]
    chunks = []
    power = LogMel._power
    monkeypatch.setattr(LogMel, "_power", lambda self, x: chunks.append(len(x)) or power(self, x))
    with sklearn.config_context(working_memory=n_at_a_time * 129 * log_mel.n_frames_ / 512):
        found = log_mel.transform(clips)
    assert max(chunks) == n_at_a_time
    assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("params", "waves", "match"),
    [
        ({}, WAVES[0], r"Waveform 0 has shape \(\).*into a list"),
        ({}, np.zeros((2, 9, 2)), r"shape \(9, 2\).*Average the channels"),
        ({}, [WAVES[0], np.zeros(0)], r"Waveform 1 has shape \(0,\)"),
        ({}, [WAVES[0], WAVES[1] * np.nan], "Waveform 1 contains NaN.*mark them as missing"),
        ({}, [np.arange(9)], "dtype int64; expected floats, int16 or int32"),
        ({"n_mels": 200}, WAVES, "of 200 mel bands contain no frequency .* 256 samples. Lower"),
        ({"f_max": 4001.0}, WAVES, "f_min < f_max <= sampling_rate / 2 = 4000"),
        ({"f_min": 3000.0, "f_max": 3000.0}, WAVES, "f_min < f_max"),
        ({"sampling_rate": 0}, WAVES, "sampling_rate"),
        ({"reference": "min"}, WAVES, "reference"),
    ],
    ids=range(10),
)
def test_log_mel_refuses(params, waves, match):
    with pytest.raises(ValueError, match=match):
        LogMel(**{"sampling_rate": RATE, **params}).fit(waves)


def test_spoken_digits_are_told_apart(skmm_data):
    X, y = fetch_fsdd(subset="test", return_X_y=True, data_home=skmm_data)
    flat = FunctionTransformer(lambda x: x.reshape(len(x), -1))
    head = (PCA(40, random_state=0), StandardScaler(), LogisticRegression(C=0.1))
    heard = make_pipeline(LogMel(sampling_rate=RATE, n_mels=32), flat, *head)
    cv = StratifiedKFold(3, shuffle=True, random_state=0)  # the same speakers in each
    assert cross_val_score(heard, X["audio"], y, cv=cv).mean() > 0.75
    assert cross_val_score(make_pipeline(*head), X["audio"], y, cv=cv).mean() < 0.3


# In PerModality


@pytest.fixture
def X():
    text = np.array(TEXTS, dtype=object)
    X = Modalities({"audio": WAVES, "image": COLOUR, "text": text, "age": np.arange(6.0)})
    return X.with_missing("audio", [1]).with_missing("image", [2]).with_missing("text", [0])


@pytest.fixture
def per():
    return PerModality(
        {
            "audio": LogMel(sampling_rate=RATE, n_mels=8, hop_length=256),
            "image": ImageScaler(),
            "text": Tokenizer(),
        }
    )


def test_kinds_and_missing_rows(X, per):
    Z = per.fit_transform(X)
    assert Z.kinds == {"audio": "image", "image": "image", "text": "tokens", "age": "numeric"}
    assert_array_equal(Z.missing, X.missing)
    for name, gone in (("audio", 1), ("image", 2), ("text", 0)):
        rows = np.setdiff1d(range(6), gone)
        alone = clone(per.transformers[name]).fit_transform(X[name][rows])
        assert_array_equal(Z[name][rows], alone)
    assert np.isnan(Z["image"][2]).all()
    assert not Z["text"][0].any()
    for again in (per.transform(X), pickle.loads(pickle.dumps(per)).transform(X)):
        assert again.kinds == Z.kinds
        for name in Z.names:
            assert_array_equal(again[name], Z[name])
    assert per.transform(X.select(["text"])).kinds == {"text": "tokens"}


def test_a_row_without_a_modality_is_blank(X, per):
    per.fit(X)
    Z = per.transform(X[[0]])
    assert Z.kinds["text"] == "tokens"
    assert Z["text"].shape == (1, 9)
    assert Z.missing["text"].all()


def test_and_back(X, per):
    Z = per.fit_transform(X)
    back = per.inverse_transform(Z.select(["image", "text", "age"]))
    assert back.kinds == {"image": "image", "text": "categorical", "age": "numeric"}
    kept = [0, 1, 3, 4, 5]
    assert_array_equal(back["image"][kept], COLOUR[kept])
    tokenizer = per.transformers_["text"]
    assert_array_equal(back["text"][1:], tokenizer.inverse_transform(Z["text"][1:]))
    assert back["text"][0] is None


def test_images_of_any_size_through_and_back(files, per):
    ragged = _objects([x[: 4 + i % 3] for i, x in enumerate(COLOUR)])
    paths = np.array([*map(str, files[:5]), None], dtype=object)
    X = Modalities({"ragged": ragged, "paths": paths, "grey": GREY, "series": pd.Series(files)})
    per = PerModality(ImageScaler(size=(8, 6), mode="RGB"))
    Z = per.fit_transform(X)
    assert set(Z.kinds.values()) == {"image"}
    assert_array_equal(Z.missing["paths"], [False] * 5 + [True])
    back = per.inverse_transform(Z)
    assert set(back.kinds.values()) == {"image"}
    for name in X.names:
        assert back[name].shape == (6, 8, 6, 3)
    expected = per.transformers_["ragged"].inverse_transform(Z["ragged"])
    assert_array_equal(back["ragged"], expected)
    grey = PerModality(ImageScaler())
    again = grey.inverse_transform(grey.fit_transform({"grey": GREY}))
    assert_array_equal(again["grey"], GREY)


def test_columns_of_frames():
    frame = pd.DataFrame({"text": TEXTS, "age": range(6)}, index=list("abcdef"))
    per = PerModality({"text": Tokenizer()}, modalities={"text": ["text"], "age": ["age"]})
    Z = per.fit_transform(frame)
    assert Z.kinds == {"text": "tokens", "age": "numeric"}
    assert_array_equal(Z["text"], Tokenizer().fit_transform(TEXTS))
    per.set_output(transform="pandas")
    named = per.fit_transform(frame)
    assert named.kinds["text"] == "tokens"
    assert list(per.get_feature_names_out())[:2] == ["text__tokenizer0", "text__tokenizer1"]


class _Lower(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return [text.lower() for text in X]

    def __sklearn_tags__(self):
        return Tokenizer().__sklearn_tags__()


def test_the_last_step_says_the_kind(X):
    per = PerModality(
        {
            "text": make_pipeline(Tokenizer(), FunctionTransformer(lambda ids: ids + 0.5)),
            "image": make_pipeline(make_pipeline(ImageScaler())),
        },
        remainder="drop",
    )
    assert per.fit_transform(X).kinds == {"text": "numeric", "image": "image"}
    per = PerModality(
        {"text": make_pipeline(_Lower(), Tokenizer(lowercase=False))}, remainder="drop"
    )
    assert per.fit_transform(X).kinds == {"text": "tokens"}


class _Declares(TransformerMixin, BaseEstimator):
    def __init__(self, output_kind="count"):
        self.output_kind = output_kind

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X


def test_any_transformer_may_declare_a_kind():
    X = Modalities({"a": np.array([[1.0], [np.nan], [3.0]]), "b": np.eye(3)})
    assert PerModality(_Declares()).fit_transform(X).kinds == {"a": "count", "b": "count"}
    with pytest.raises(ValueError, match="'a' cannot be of kind 'binary': its values must be 0"):
        PerModality(_Declares("binary")).fit(X)
    with pytest.raises(ValueError, match="unknown kind 'sound'"):
        PerModality(_Declares("sound")).fit(X)


def test_in_a_pipeline_with_a_linear_model(X, per):
    whole, y = X.select(["audio", "image"])[[0, 3, 4, 5]], [0, 1, 0, 1]
    per = per.set_params(transformers={n: per.transformers[n] for n in whole.names})
    pipe = make_pipeline(per, ConcatModalities(), LogisticRegression(max_iter=5000))
    grid = GridSearchCV(pipe, {"permodality__image__size": [(2, 2), (3, 3)]}, cv=2)
    grid.fit(whole, y)
    assert np.isfinite(grid.cv_results_["mean_test_score"]).all()
    with sklearn.config_context(transform_output="pandas"):
        assert pipe[:2].fit_transform(whole).shape == (4, 8 * 8 + 3 * 7 * 5)


def test_ids_are_not_taken_for_numbers(X, per):
    with pytest.raises(ValueError, match="cannot use modality 'text' of kind 'tokens'"):
        ConcatModalities().fit(per.fit_transform(X)[2:])


def test_a_deep_estimator_takes_them_and_gives_them_back(X, per):
    pipe = make_pipeline(per, MultimodalAutoencoder(2, max_epochs=1, random_state=0))
    codes = pipe.fit_transform(X)
    assert codes.shape == (6, 2)
    assert np.isfinite(codes).all()
    prepared = pipe[:-1].transform(X.select(["text"])[1:])
    images = per.inverse_transform({"image": pipe[-1].translate(prepared, "image")})["image"]
    assert images.shape == (5, 7, 5, 3)
    assert images.dtype == np.uint8
    assert pipe.transform(Modalities({"text": ["never seen words", "a dog"]})).shape == (2, 2)
