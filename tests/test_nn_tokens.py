"""Encoders of token ids: against NumPy, and whatever the padding."""

import numpy as np
import pytest
import torch
from scipy.special import erf, expit, softmax

from skmm.nn import TokenEncoder, check_token_ids, initialize, seed_draws

KINDS = ("lstm", "gru", "attention")
ROW = [4, 1, 7, 7, 2]


def encoder(kind, **params):
    model = TokenEncoder(9, 3, **{"kind": kind, "embedding_dim": 6, "hidden_size": 8, **params})
    return initialize(model, torch.Generator().manual_seed(0)).double().eval()


def values(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


def embedded(p, row):
    return p["embedding.weight"][row]


def closed(p, h):
    return p["output.weight"] @ h + p["output.bias"]


def lstm(p, x, layer):
    w, u, b, c = (p[f"body.layers.{layer}.{n}_l0"] for n in _NAMES)
    h, s, states = np.zeros(u.shape[1]), np.zeros(u.shape[1]), []
    for step in x:
        i, f, g, o = np.split(w @ step + b + u @ h + c, 4)
        s = expit(f) * s + expit(i) * np.tanh(g)
        h = expit(o) * np.tanh(s)
        states.append(h)
    return states


def gru(p, x, layer):
    w, u, b, c = (p[f"body.layers.{layer}.{n}_l0"] for n in _NAMES)
    h, states = np.zeros(u.shape[1]), []
    for step in x:
        (r, z, n), (rh, zh, nh) = np.split(w @ step + b, 3), np.split(u @ h + c, 3)
        r, z = expit(r + rh), expit(z + zh)
        h = (1 - z) * np.tanh(n + r * nh) + z * h
        states.append(h)
    return states


_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def norm(p, name, x):
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return x * p[f"{name}.weight"] + p[f"{name}.bias"]


def positions(n, width):
    """Vaswani et al. 2017, section 3.5, entry by entry."""
    table = np.empty((n, width))
    for t in range(n):
        for i in range(width):
            angle = t / 10000 ** (2 * (i // 2) / width)
            table[t, i] = np.cos(angle) if i % 2 else np.sin(angle)
    return table


def attention(p, x, n_heads):
    x = x @ p["body.input.weight"].T + p["body.input.bias"]
    x = x + positions(*x.shape)
    block = "body.blocks.0"
    h = norm(p, f"{block}.norm", x)
    h = h @ p[f"{block}.attention.in_proj_weight"].T + p[f"{block}.attention.in_proj_bias"]
    heads = []
    for part in np.split(np.stack(np.split(h, 3, axis=1)), n_heads, axis=2):
        q, k, v = part
        heads.append(softmax(q @ k.T / np.sqrt(q.shape[1]), axis=1) @ v)
    out = f"{block}.attention.out_proj"
    x = x + np.concatenate(heads, axis=1) @ p[f"{out}.weight"].T + p[f"{out}.bias"]
    h = norm(p, f"{block}.feed_forward.0", x)
    for name in ("hidden.0", "output"):
        name = f"{block}.feed_forward.1.{name}"
        h = h @ p[f"{name}.weight"].T + p[f"{name}.bias"]
        h = h * (1 + erf(h / np.sqrt(2))) / 2 if "hidden" in name else h
    return norm(p, "body.norm", x + h).mean(0)


@pytest.mark.parametrize(("kind", "unrolled"), [("lstm", lstm), ("gru", gru)])
def test_recurrent_layers_unrolled_by_hand(kind, unrolled):
    model = encoder(kind, n_layers=2)
    p = values(model)
    expected = closed(p, unrolled(p, unrolled(p, embedded(p, ROW), 0), 1)[-1])
    found = model(torch.tensor([[*ROW, 0, 0]]))[0]
    np.testing.assert_allclose(found.detach(), expected, atol=1e-12)


@pytest.mark.parametrize("n_heads", [1, 2, 4])
def test_attention_by_hand(n_heads):
    model = encoder("attention", n_heads=n_heads)
    p = values(model)
    expected = closed(p, attention(p, embedded(p, ROW), n_heads))
    found = model(torch.tensor([[*ROW, 0, 0]]))[0]
    np.testing.assert_allclose(found.detach(), expected, atol=1e-12)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_does_not_matter(kind, padding):
    model, p = encoder(kind, padding=padding, n_layers=2), padding
    alone = model(torch.tensor([ROW]))
    for row in ([*ROW, p], [p, *ROW], [p, p, 4, 1, p, 7, 7, p, p, 2], [*ROW, *[p] * 40]):
        torch.testing.assert_close(model(torch.tensor([row])), alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_do_not_depend_on_padding(kind):
    grads = []
    for n in (0, 7):
        model = encoder(kind)
        model(torch.tensor([[*ROW, *[0] * n]])).square().sum().backward()
        assert not model.embedding.weight.grad[0].any()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*grads, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_padding_alone_are_finite(kind, mode):
    model = getattr(encoder(kind, n_layers=2), mode)()
    y = model(torch.tensor([[0, 0, 0], [1, 2, 0]]))
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    np.testing.assert_allclose(y[0].detach(), model(torch.zeros(1, 9).long())[0].detach())


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_of_no_tokens_are_as_padding_alone(kind):
    model = encoder(kind)
    found, expected = model(torch.zeros(2, 0).long()), model(torch.zeros(2, 3).long())
    np.testing.assert_allclose(found.detach(), expected.detach())


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_depend_on_each_other(kind):
    model = encoder(kind)
    rows = torch.tensor([[1, 2, 3, 0], [0, 0, 0, 0], [8, 0, 0, 8]])
    alone = torch.cat([model(row[None]) for row in rows])
    torch.testing.assert_close(model(rows), alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_order_matters(kind):
    y = encoder(kind)(torch.tensor([[1, 2, 3], [3, 2, 1]]))
    assert not torch.allclose(y[0], y[1], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_draws_from_its_generator(kind):
    model = encoder(kind, dropout=0.5).train()
    ids, results, before = torch.tensor([ROW]), [], torch.get_rng_state()
    for seed in (0, 0, 1):
        seed_draws(model, torch.Generator().manual_seed(seed))
        results.append(model(ids))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(model.eval()(ids), encoder(kind)(ids))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_any_integers_will_do(dtype):
    model = encoder("lstm")
    assert torch.equal(model(torch.tensor([ROW], dtype=dtype)), model(torch.tensor([ROW])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "rnn"}, "kind must be one of .*'gru'.* got 'rnn'"),
        ({"padding": 9}, r"padding must be an id in \[0, 9\), got 9"),
        ({"padding": -1}, "got -1"),
        ({"n_layers": 0}, "n_layers must be an integer of at least 1"),
        ({"kind": "attention", "n_heads": 3}, "n_heads must divide .* 8; got 3"),
        ({"dropout": 1}, r"\[0, 1\), got 1"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(ValueError, match=message):
        encoder(**({"kind": "lstm"} | change))


def test_ids_are_checked():
    check_token_ids(torch.tensor([[0, 8]]), 9)
    check_token_ids(torch.empty(0, 4, dtype=torch.int64), 9)
    with pytest.raises(ValueError, match=r"in \[0, 9\), got ids from -1 to 9"):
        check_token_ids(torch.tensor([-1, 9]), 9)
    for wrong in (torch.tensor([1.0]), torch.tensor([True])):
        with pytest.raises(TypeError, match=f"must be integers, got {wrong.dtype}"):
            check_token_ids(wrong, 9)
        with pytest.raises(TypeError, match="must be integers"):
            encoder("lstm")(wrong[None])
