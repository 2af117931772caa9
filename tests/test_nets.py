"""The training loop against manual loops, formulas and torch's own tools."""

import copy
import math
import warnings
from itertools import chain

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping, LRScheduler
from torch import nn
from torch.utils.data import DataLoader

from skmm import DeepCCA, Modalities
from skmm._nets import (
    SCHEDULES,
    Batches,
    BestWeights,
    Checkpoint,
    Net,
    Progress,
    TensorData,
    apply_in_chunks,
    as_tensor,
    build,
    in_precision,
    n_rows_at_once,
    private_generator,
    resume,
)
from skmm.metrics import total_correlation
from skmm.nn import MLP, FeedForward, cca_loss
from skmm.nn import Dropout as SeededDropout

QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 3, "random_state": 0, "cv": None}


def make_arrays(n=60, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    a = z @ rng.standard_normal((2, 4)) + 0.5 * rng.standard_normal((n, 4))
    b = z @ rng.standard_normal((2, 3)) + 0.5 * rng.standard_normal((n, 3))
    return {"a": a.astype(dtype), "b": b.astype(dtype)}


def make_curves(n=300, seed=0):
    """Points on a circle at an angle and at twice the angle: no linear correlation."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    a = np.c_[np.cos(angle), np.sin(angle)] + 0.1 * rng.standard_normal((n, 2))
    b = np.c_[np.cos(2 * angle), np.sin(2 * angle)] + 0.1 * rng.standard_normal((n, 2))
    return Modalities({"a": a, "b": b})


class Pair(nn.Module):
    """Two linear maps, and dropout if asked for."""

    def __init__(self, p=4, q=3, k=2, dropout=0.0):
        super().__init__()
        self.first = nn.Linear(p, k)
        self.second = nn.Linear(q, k)
        self.dropout = SeededDropout(dropout)

    def forward(self, inputs, observed=None):
        return [self.first(self.dropout(inputs["a"])), self.second(self.dropout(inputs["b"]))]


class Agreement(nn.Module):
    """A term that is no mean over rows, and one that is."""

    def forward(self, codes, observed=None, **inputs):
        agreement = cca_loss(codes)["correlation"]
        return {"agreement": agreement, "size": 0.01 * (codes[0] ** 2).mean().double()}


def make_pair(seed=0, **options):
    return build(lambda: Pair(**options), seed, own=False)


def make_net(valid=None, seed=0, dropout=0.0, criterion=None, **options):
    split = None if valid is None else (lambda dataset: (dataset, valid))
    settings = {
        "batch_size": 20,
        "max_epochs": 3,
        "lr": 0.05,
        "optimizer": torch.optim.SGD,
        "train_split": split,
        "verbose": 0,
    }
    module = make_pair(dropout=dropout)
    return Net(module, criterion or Agreement(), seed=seed, **(settings | options))


def weights(module):
    return {name: value.detach().clone().numpy() for name, value in module.state_dict().items()}


def assert_same_weights(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert_array_equal(first[name], second[name], err_msg=name)


def different(first, second):
    return any(not np.array_equal(first[name], second[name]) for name in first)


def column(net, name):
    return [row[name] for row in net.history if name in row]


# Data


def test_arrays_are_not_copied():
    arrays = make_arrays()
    data = TensorData(arrays)
    for name, array in arrays.items():
        assert data.inputs[name].data_ptr() == array.ctypes.data


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, bool])
def test_readonly_arrays_are_not_copied_without_a_warning(dtype):
    array = np.arange(12).reshape(4, 3).astype(dtype)
    array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = TensorData({"a": array}).inputs["a"]
    assert tensor.data_ptr() == array.ctypes.data
    assert_array_equal(tensor.numpy(), array)
    assert not array.flags.writeable


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_maps_are_not_read_into_memory(tmp_path, mode):
    path = tmp_path / "a.npy"
    array = np.arange(40, dtype=np.float32).reshape(10, 4)
    np.save(path, array)
    mapped = np.load(path, mmap_mode=mode)
    data = TensorData({"a": mapped})
    assert data.inputs["a"].data_ptr() == mapped.ctypes.data
    batch, _ = data.batch(slice(2, 5))
    assert_array_equal(batch["inputs"]["a"].numpy(), array[2:5])


def test_a_tensor_keeps_readonly_memory_alive():
    array = np.full((1000, 100), 7.0)
    array.flags.writeable = False
    tensor = as_tensor(array)
    del array
    np.full((1000, 100), 3.0)  # would take freed memory
    assert (tensor == 7).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_doubles_are_converted_batch_by_batch(dtype):
    arrays = make_arrays(dtype=np.float64)
    data = TensorData(arrays, dtype=dtype)
    batch, _ = data.batch(torch.tensor([5, 3, 3]))
    for name, array in arrays.items():
        assert data.inputs[name].data_ptr() == array.ctypes.data
        assert batch["inputs"][name].dtype == dtype
        expected = array[[5, 3, 3]].astype(np.dtype(str(dtype).removeprefix("torch.")))
        assert_array_equal(batch["inputs"][name].numpy(), expected)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=">f4").reshape(4, 3),
        np.arange(12, dtype=">f8").reshape(4, 3),
        np.arange(12, dtype=">i4").reshape(4, 3),
        np.arange(12, dtype=np.uint16).reshape(4, 3),
        np.arange(12, dtype=np.uint64).reshape(4, 3),
        np.asfortranarray(np.arange(12, dtype=np.float32).reshape(4, 3)),
        np.asfortranarray(np.arange(12, dtype=np.float64).reshape(4, 3)),
        np.arange(12, dtype=np.float32).reshape(4, 3)[::-1, ::-1],
        np.arange(24, dtype=np.float64).reshape(4, 6)[:, ::2],
    ],
    ids=lambda array: f"{array.dtype}{array.strides}",
)
def test_any_layout_gives_the_same_numbers(array):
    batch, _ = TensorData({"a": array}).batch(slice(0, 4))
    assert_array_equal(batch["inputs"]["a"].numpy(), array)


def test_a_column_order_array_is_laid_out_by_rows_once():
    array = np.asfortranarray(np.ones((4, 3), dtype=np.float64))
    tensor = TensorData({"a": array}).inputs["a"]
    assert tensor.is_contiguous()
    assert tensor.dtype == torch.float32  # half the memory; batches are in single precision


def test_a_subset_shares_the_memory():
    arrays = make_arrays()
    observed = np.random.default_rng(0).random((60, 2)) > 0.3
    data = TensorData(arrays, observed)
    half = data.subset(np.arange(1, 60, 2))
    quarter = half.subset(np.array([4, 2]))
    assert len(data) == 60
    assert len(half) == 30
    assert len(quarter) == 2
    for name in arrays:
        assert quarter.inputs[name] is data.inputs[name]
    batch, _ = quarter.batch(slice(0, 2))
    assert_array_equal(batch["inputs"]["a"].numpy(), arrays["a"][[9, 5]])
    assert_array_equal(batch["observed"].numpy(), observed[[9, 5]])
    row, _ = half[3]
    assert_array_equal(row["inputs"]["b"].numpy(), arrays["b"][7])
    assert_array_equal(row["observed"].numpy(), observed[7])


def test_complete_data_has_no_mask():
    batch, _ = TensorData(make_arrays()).batch(slice(0, 2))
    assert set(batch) == {"inputs"}


# Batches


def numbered(n):
    return TensorData({"a": np.arange(n, dtype=np.float32)[:, None]})


def order_of(batches):
    return [batch["inputs"]["a"][:, 0].int().tolist() for batch, _ in batches]


@pytest.mark.parametrize("n", [1, 9, 10, 11, 25])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_row_comes_once_per_epoch(n, shuffle):
    batches = Batches(numbered(n), 10, shuffle=shuffle)
    found = order_of(batches)
    assert len(found) == len(batches) == math.ceil(n / 10)
    assert sorted(chain.from_iterable(found)) == list(range(n))
    if not shuffle:
        assert list(chain.from_iterable(found)) == list(range(n))
    assert all(len(part) == 10 for part in found[:-1])


@pytest.mark.parametrize("n", [10, 11, 25])
def test_a_short_last_batch_is_dropped(n):
    batches = Batches(numbered(n), 10, shuffle=True, drop_last=True)
    found = order_of(batches)
    assert len(found) == len(batches) == n // 10
    assert all(len(part) == 10 for part in found)
    assert len(set(chain.from_iterable(found))) == 10 * (n // 10)


def test_the_only_batch_is_never_dropped():
    assert [len(part) for part in order_of(Batches(numbered(7), 10, drop_last=True))] == [7]


def test_the_order_depends_on_seed_and_epoch_alone():
    def orders(seed, epoch):
        batches = Batches(numbered(30), 10, shuffle=True, seed=seed)
        batches.set_epoch(epoch)
        torch.rand(5)  # whatever others draw
        return order_of(batches)

    seen = {(s, e): orders(s, e) for s in range(3) for e in range(3)}
    assert len({str(order) for order in seen.values()}) == 9
    for (seed, epoch), order in seen.items():
        assert orders(seed, epoch) == order


def test_no_iteration_touches_the_global_generator():
    state = torch.get_rng_state()
    order_of(Batches(numbered(30), 10, shuffle=True, seed=3))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_data_loader_can_take_the_place():
    X = make_curves()
    given = {"iterator_train": DataLoader, "iterator_valid": DataLoader}
    model = DeepCCA(2, net_params=given, **QUICK).fit(X)
    assert np.isfinite(model.history_.train_loss.iloc[1:]).all()
    own = DeepCCA(2, **QUICK).fit(X)
    # The start and its validation do not depend on who makes the batches.
    assert_allclose(model.history_.valid_loss[0], own.history_.valid_loss[0], rtol=1e-6)
    assert_allclose(model.history_.valid_score[0], own.history_.valid_score[0], rtol=1e-6)


def test_a_data_loader_gives_the_same_training():
    train = TensorData(make_arrays())
    plain = make_net(iterator_train__shuffle=False).fit(train)
    loader = make_net(iterator_train=DataLoader).fit(train)
    for name, expected in weights(plain.module_).items():
        assert_allclose(weights(loader.module_)[name], expected, rtol=1e-5, atol=1e-6)


def test_settings_of_the_iterator_overrule():
    X = make_curves(250)
    shared = {"batch_size": 100, "early_stopping": False, **QUICK}

    class Count(Callback):
        def on_train_begin(self, net, **kwargs):
            self.sizes = []

        def on_batch_end(self, net, batch=None, **kwargs):
            self.sizes.append(len(batch[0]["inputs"]["a"]))

    count = Count()
    DeepCCA(2, callbacks=[count], **shared).fit(X)
    assert count.sizes == [100, 100] * 3
    DeepCCA(2, callbacks=[count], net_params={"iterator_train__drop_last": False}, **shared).fit(X)
    assert count.sizes == [100, 100, 50] * 3


# Learning rates


@pytest.mark.parametrize("n_steps", [10, 100, 57])
def test_onecycle_is_that_of_torch(n_steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    # torch counts the last step as the end of the training; here that is one step later.
    torch_schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=2.0,
        total_steps=n_steps + 1,
        pct_start=(0.3 * n_steps + 1) / (n_steps + 1),
        anneal_strategy="cos",
        div_factor=25,
        final_div_factor=math.inf,
        cycle_momentum=False,
    )
    expected = []
    for _ in range(n_steps + 1):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(expected) <= n_steps:
            torch_schedule.step()
    found = [2 * SCHEDULES["onecycle"](i / n_steps) for i in range(n_steps + 1)]
    assert_allclose(found, expected, atol=1e-12)
    assert_allclose(found[0], 2 / 25)
    assert_allclose(found[-1], 0, atol=1e-12)
    assert_allclose(SCHEDULES["onecycle"](0.3), 1)


def test_cosine_is_that_of_torch():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=3.0)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    for i in range(21):
        expected = optimizer.param_groups[0]["lr"]
        assert_allclose(3 * SCHEDULES["cosine"](i / 20), expected, atol=1e-12)
        optimizer.step()
        annealing.step()


def test_constant_stays():
    assert {SCHEDULES["constant"](i / 7) for i in range(8)} == {1.0}


class Rates(Callback):
    def __init__(self):
        self.seen = []

    def on_grad_computed(self, net, **kwargs):
        self.seen += [tuple(group["lr"] for group in net.optimizer_.param_groups)]


@pytest.mark.parametrize("schedule", ["onecycle", "cosine", "constant", lambda p: 1 - p / 2])
def test_each_step_uses_the_rate_of_the_schedule(schedule):
    rates = Rates()
    model = DeepCCA(
        2, lr=0.01, lr_schedule=schedule, callbacks=[rates], batch_size=50, **QUICK
    ).fit(make_curves(250))
    formula = SCHEDULES.get(schedule, schedule) if isinstance(schedule, str) else schedule
    n_batches = 225 // 50
    expected = [0.01 * formula(i / (3 * n_batches)) for i in range(3 * n_batches)]
    assert_allclose(np.array(rates.seen)[:, 0], expected, rtol=1e-12)
    assert_allclose(model.history_.lr.iloc[1:], expected[n_batches - 1 :: n_batches], rtol=1e-12)


def test_the_rate_acts_on_the_weights():
    """Plain gradient descent by hand gives the same weights."""
    arrays = make_arrays()
    net = make_net(schedule=SCHEDULES["cosine"], seed=5).fit(TensorData(arrays))
    module = make_pair()
    batches = Batches(TensorData(arrays), 20, shuffle=True, seed=5)
    step = 0
    for epoch in (1, 2, 3):
        batches.set_epoch(epoch)
        for batch, _ in batches:
            module.zero_grad()
            sum(Agreement()(module(**batch)).values()).backward()
            with torch.no_grad():
                for weight in module.parameters():
                    weight -= 0.05 * 0.5 * (1 + math.cos(math.pi * step / 9)) * weight.grad
            step += 1
    for name, expected in weights(module).items():
        assert_allclose(weights(net.module_)[name], expected, rtol=1e-5, atol=1e-7)


def test_groups_of_weights_keep_the_ratio_of_their_rates():
    rates = Rates()
    net = make_net(
        callbacks=[rates],
        schedule=SCHEDULES["onecycle"],
        optimizer__param_groups=[("first.*", {"lr": 0.5})],
    )
    net.fit(TensorData(make_arrays()))
    found = np.array(rates.seen)
    factors = [SCHEDULES["onecycle"](i / 9) for i in range(9)]
    assert_allclose(found, np.outer(factors, [0.5, 0.05]), rtol=1e-12)


# Terms of the objective


def test_training_terms_are_means_over_batches():
    seen = []

    class Batchwise(Callback):
        def on_batch_end(self, net, training=None, **kwargs):
            assert training
            seen.append({name: term.item() for name, term in kwargs["terms"].items()})

    net = make_net(callbacks=[Batchwise()]).fit(TensorData(make_arrays()))
    assert len(seen) == 9
    for epoch in range(3):
        rows = seen[3 * epoch : 3 * epoch + 3]
        for name in ("agreement", "size"):
            expected = np.mean([row[name] for row in rows])
            assert_allclose(net.history[epoch][f"train_{name}"], expected, rtol=1e-12)
        total = sum(net.history[epoch][f"train_{name}"] for name in ("agreement", "size"))
        assert_allclose(net.history[epoch]["train_loss"], total, rtol=1e-12)


def test_validation_is_on_all_rows_at_once():
    valid_arrays = make_arrays(37, seed=1)
    states = []

    class Remember(Callback):
        def on_epoch_end(self, net, **kwargs):
            states.append({n: v.clone() for n, v in net.module_.state_dict().items()})

    net = make_net(
        TensorData(valid_arrays),
        iterator_valid__batch_size=10,  # chunks, of which the loss is no mean
        callbacks=[Remember()],
        dropout=0.5,  # not in validation
    ).fit(TensorData(make_arrays()))
    module = make_pair(dropout=0.5).eval()
    states = [make_pair(dropout=0.5).state_dict(), *states]
    assert column(net, "epoch") == [0, 1, 2, 3]
    for row, state in zip(net.history, states, strict=True):
        module.load_state_dict(state)
        with torch.no_grad():
            codes = module({name: torch.from_numpy(v) for name, v in valid_arrays.items()})
            terms = Agreement()(codes)
            chunks = [Agreement()([c[i : i + 10] for c in codes]) for i in range(0, 37, 10)]
        for name, term in terms.items():
            assert_allclose(row[f"valid_{name}"], term.item(), rtol=1e-5)
        assert_allclose(row["valid_loss"], sum(terms.values()).item(), rtol=1e-5)
        of_chunks = np.mean([chunk["agreement"].item() for chunk in chunks])
        assert abs(of_chunks - row["valid_agreement"]) > 1e-2  # the test tells them apart
        assert row["valid_score"] == -row["valid_loss"]  # without another scoring


def test_the_score_is_the_total_correlation_along_training_axes():
    states = []

    class Remember(Callback):
        def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            net.module_.eval()
            codes = []
            for data in (dataset_train, dataset_valid):
                batch, _ = data.batch(slice(0, len(data)))
                with torch.no_grad():
                    found = {
                        n: net.module_.encode(m, x)
                        for m, (n, x) in enumerate(batch["inputs"].items())
                    }
                codes.append({n: z.double().numpy() for n, z in found.items()})
            states.append(total_correlation(*codes))

    model = DeepCCA(2, callbacks=[Remember()], **QUICK).fit(make_curves())
    assert_allclose(model.history_.valid_score.iloc[1:], states, rtol=1e-4)


def test_the_score_with_missing_modalities():
    """Codes of rows without a modality count as missing, not as zeros."""
    X = make_curves()
    rng = np.random.default_rng(0)
    lacking = rng.choice(300, 60, replace=False)
    mask = np.zeros((300, 2), dtype=bool)
    mask[lacking, rng.integers(2, size=60)] = True
    X = Modalities(dict(X.items()), missing=mask)
    states = []

    class Remember(Callback):
        def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            net.module_.eval()
            codes = []
            for data in (dataset_train, dataset_valid):
                batch, _ = data.batch(slice(0, len(data)))
                with torch.no_grad():
                    found = {
                        n: net.module_.encode(m, x)
                        for m, (n, x) in enumerate(batch["inputs"].items())
                    }
                codes.append(
                    {
                        n: np.where(batch["observed"][:, m, None], z.double(), np.nan)
                        for m, (n, z) in enumerate(found.items())
                    }
                )
            states.append(total_correlation(*codes))

    model = DeepCCA(2, objective="gcca", callbacks=[Remember()], **QUICK).fit(X)
    assert_allclose(model.history_.valid_score.iloc[1:], states, rtol=1e-4)


def test_outputs_are_those_of_the_module_whatever_the_chunks():
    data = TensorData(make_arrays())
    net = make_net(iterator_valid__batch_size=7).initialize()
    ((found, observed),) = net.outputs(data)
    assert observed is None
    with torch.no_grad():
        expected = net.module_.eval()(**data.batch(slice(0, 60))[0])
    for a, b in zip(found, expected, strict=True):
        assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


# Best weights


class Scores:
    """Scores that do not depend on the net; remembers the weights they were for."""

    def __init__(self, values):
        self.values = values
        self.weights = []

    def __call__(self, net, found):
        self.weights.append(weights(net.module_))
        return self.values[len(self.weights) - 1]


@pytest.mark.parametrize(
    ("values", "patience", "best", "n_epochs"),
    [
        ([0.1, 0.2, 0.5, 0.4, 0.3, 0.2, 0.9], 3, 2, 5),
        ([0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.95], 4, 0, 4),  # no training is better than any
        ([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], 2, 0, 2),  # ties are no gain
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], 1, 6, 6),
        ([0.1, 0.2, 0.1, 0.3, 0.2, 0.4, 0.3], 2, 5, 6),
        ([-5.0, -4.0, -3.0, -4.0, -4.0, -4.0, 0.0], 10, 6, 6),
    ],
)
def test_the_best_epoch_is_restored(values, patience, best, n_epochs):
    scores = Scores(values)
    data = TensorData(make_arrays())
    net = make_net(data, scoring=scores, max_epochs=6, callbacks=[BestWeights(patience)])
    net.fit(data)
    assert column(net, "epoch") == list(range(n_epochs + 1))
    assert column(net, "valid_score") == values[: n_epochs + 1]
    assert_same_weights(weights(net.module_), scores.weights[best])
    assert different(scores.weights[best], scores.weights[best - 1])
    assert not net.interrupted_


def test_ctrl_c_restores_the_best_epoch_too():
    class Stop(Callback):
        def on_batch_begin(self, net, **kwargs):
            if net.history[-1]["epoch"] == 3:
                raise KeyboardInterrupt

    scores = Scores([0.1, 0.9, 0.2, 0.3])
    data = TensorData(make_arrays())
    net = make_net(data, scoring=scores, callbacks=[BestWeights(5), Stop()]).fit(data)
    assert net.interrupted_
    assert column(net, "epoch") == [0, 1, 2]  # no half epoch in the history
    assert_same_weights(weights(net.module_), scores.weights[1])


# Faults


class Broken(nn.Module):
    def __init__(self, after):
        super().__init__()
        self.after = after
        self.n_calls = 0

    def forward(self, codes, observed=None, **inputs):
        self.n_calls += 1
        good = (codes[0] ** 2).mean().double()
        return {"good": good, "bad": good * (math.nan if self.n_calls > self.after else 1.0)}


def test_nan_names_the_term_the_epoch_and_remedies():
    net = make_net(criterion=Broken(after=4))  # three batches an epoch
    with pytest.raises(ValueError, match=r"'bad' became NaN or infinite in epoch 2") as error:
        net.fit(TensorData(make_arrays()))
    for remedy in ("smaller lr", "normalization", "precision='float64'"):
        assert remedy in str(error.value)


def test_nan_in_validation_is_noticed():
    net = make_net(TensorData(make_arrays(seed=1)), criterion=Broken(after=0))
    with pytest.raises(ValueError, match=r"'bad' became NaN or infinite in epoch 0"):
        net.fit(TensorData(make_arrays()))


@pytest.mark.parametrize("valid", [None, TensorData(make_arrays(seed=1))])
@pytest.mark.parametrize("lr", [1e20, 1e38])
def test_a_runaway_learning_rate(valid, lr):
    net = make_net(valid, lr=lr)
    with pytest.raises(ValueError, match=r"became NaN or infinite in epoch [123]: use a smaller"):
        net.fit(TensorData(make_arrays()))


# Checkpoints


def checkpointed(path, **options):
    data = TensorData(make_arrays(seed=1))
    settings = {"optimizer": torch.optim.AdamW, "lr": 0.01, "schedule": SCHEDULES["onecycle"]}
    callbacks = options.pop("callbacks", [])
    if path is not None:
        callbacks = [("checkpoint", Checkpoint(path)), *callbacks]
    return make_net(
        data, dropout=0.3, callbacks=[("best", BestWeights(9)), *callbacks], **(settings | options)
    )


def test_checkpoints_do_not_change_the_training(tmp_path):
    train = TensorData(make_arrays())
    with_them = checkpointed(tmp_path / "deep" / "er.pt").fit(train)
    without = checkpointed(None).fit(train)
    assert_same_weights(weights(with_them.module_), weights(without.module_))
    assert column(with_them, "train_loss") == column(without, "train_loss")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["er.pt"]  # no rests


@pytest.mark.parametrize("epoch", [1, 2, 3, 5])
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_batch_end", "on_epoch_end"])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, epoch, hook):
    class Kill(Callback):
        pass

    def kill(self, net, **kwargs):
        if net.history and net.history[-1].get("epoch") == epoch:
            raise RuntimeError("killed")

    setattr(Kill, hook, kill)
    train = TensorData(make_arrays())
    whole = checkpointed(None, max_epochs=5).fit(train)
    with pytest.raises(RuntimeError, match="killed"):
        checkpointed(tmp_path / "a.pt", max_epochs=5, callbacks=[Kill()]).fit(train)
    net = checkpointed(tmp_path / "a.pt", max_epochs=5).initialize()
    found = resume(net, tmp_path / "a.pt")
    done = net.history[-1]["epoch"] if net.history else 0
    assert found == (done > 0)
    net.partial_fit(train, epochs=5 - done)
    assert_same_weights(weights(net.module_), weights(whole.module_))
    for key in ("epoch", "train_loss", "valid_loss", "valid_score", "lr"):
        assert column(net, key) == column(whole, key), key


def test_no_checkpoint_no_change(tmp_path):
    net = checkpointed(None).initialize()
    before = weights(net.module_)
    assert not resume(net, tmp_path / "absent.pt")
    assert_same_weights(weights(net.module_), before)


# Callbacks of skorch


def test_early_stopping_of_skorch():
    model = DeepCCA(
        2,
        early_stopping=False,
        callbacks=[
            EarlyStopping("train_loss", patience=2, threshold=1e9, threshold_mode="abs"),
        ],
        **(QUICK | {"max_epochs": 10}),
    ).fit(make_curves())
    assert len(model.history_) == 3  # the first epoch is the best, two more without a gain
    assert model.transform(make_curves(20)).shape == (20, 2)


def test_a_scheduler_of_skorch():
    model = DeepCCA(
        2,
        lr=0.1,
        lr_schedule="constant",
        early_stopping=False,
        callbacks=[LRScheduler(policy="StepLR", step_size=1, gamma=0.5)],
        **QUICK,
    ).fit(make_curves())
    assert_allclose(model.history_.lr, [0.1, 0.05, 0.025])


def test_gradient_clipping_of_skorch():
    class Norms(Callback):
        def __init__(self):
            self.seen = []

        def on_grad_computed(self, net, **kwargs):
            squares = [(w.grad**2).sum() for w in net.module_.parameters() if w.grad is not None]
            self.seen.append(torch.stack(squares).sum().sqrt().item())

    norms = Norms()
    clipped = [GradientNormClipping(gradient_clip_value=1e-3), norms]
    DeepCCA(2, callbacks=clipped, **QUICK).fit(make_curves())
    assert_allclose(norms.seen, 1e-3, rtol=1e-3)
    free = Norms()
    DeepCCA(2, callbacks=[free], **QUICK).fit(make_curves())
    assert min(free.seen) > 1e-2


# Modules


def test_own_modules_depend_on_the_seed_alone():
    def make():
        return FeedForward(5, (4,), 3, normalization="batch")

    state = torch.get_rng_state()
    first = build(make, 3)
    torch.rand(3)
    again, other = build(make, 3), build(make, 4)
    torch.set_rng_state(state)
    assert_same_weights(weights(first), weights(again))
    assert different(weights(first), weights(other))
    assert all(value.device.type == "cpu" for value in first.state_dict().values())


@pytest.mark.parametrize("own", [True, False])
def test_building_leaves_the_global_generator_alone(own):
    state = torch.get_rng_state()
    build(lambda: MLP((4,))((5,), 3), 0, own=own)
    assert torch.equal(torch.get_rng_state(), state)


def test_other_modules_keep_what_their_makers_gave_them():
    def make():
        layer = nn.Linear(2, 2)
        nn.init.eye_(layer.weight)
        return layer

    module = build(make, 0, own=False)
    assert_array_equal(module.weight.detach().numpy(), np.eye(2))
    assert_array_equal(
        build(make, 0, own=False).bias.detach().numpy(), module.bias.detach().numpy()
    )
    assert different(weights(build(make, 1, own=False)), weights(module))


def test_the_private_generator_is_put_back_after_a_fault():
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), private_generator(0):
        1 / torch.rand(4).lt(0).sum().item()  # a draw, and a fault
    assert torch.equal(torch.get_rng_state(), state)
    with private_generator(7):
        first = torch.rand(3)
    assert_array_equal(first.numpy(), torch.rand(3, generator=torch.Generator().manual_seed(7)))


def test_precision_of_a_copy():
    module = nn.Linear(2, 2)
    assert in_precision(module, torch.float32) is module
    double = in_precision(module, torch.float64)
    assert double.weight.dtype == torch.float64
    assert module.weight.dtype == torch.float32
    assert_array_equal(double.weight.detach().numpy(), module.weight.detach().double().numpy())


@pytest.mark.parametrize("n", [1, 20_000])
def test_prediction_in_chunks(n):
    array = np.random.default_rng(0).standard_normal((n, 3)).astype(np.float32)
    found = apply_in_chunks(lambda inputs: inputs["a"].cumsum(dim=1), TensorData({"a": array}))
    assert_allclose(found, array.cumsum(axis=1), rtol=1e-5, atol=1e-6)


def test_prediction_for_no_rows():
    data = TensorData({"a": np.ones((5, 3), dtype=np.float32)}).subset(np.array([], dtype=int))
    assert apply_in_chunks(lambda inputs: inputs["a"][:, :2], data).shape == (0, 2)


@pytest.mark.parametrize("width", [1, 100, 10**5, 10**7])
def test_chunks_are_bounded(width):
    rows = n_rows_at_once({"a": torch.empty(1, width, device="meta")})
    assert 16 <= rows <= 8192
    assert rows == 16 or rows * width <= 2**22


# The bar


def test_the_bar_counts_epochs(capsys):
    make_net(callbacks=[Progress()]).fit(TensorData(make_arrays()))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "3/3" in shown.err
    assert "train_loss" in shown.err


class Doubling(nn.Module):
    """A network of another library, which keeps what it was given last in an attribute."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.last = []

    def forward(self, x):
        self.last.append(x)
        return self.scale * x


def _of_many_parts():
    """Return a network with layers of torch, of skmm and of others; one stands in two places."""
    layer = nn.Linear(6, 6)
    network = nn.Sequential(
        layer, FeedForward(6, (5,), 6, normalization="batch", dropout=0.5), layer, Doubling()
    )
    network.rnn = nn.LSTM(6, 6, batch_first=True)
    network.attention = nn.MultiheadAttention(6, 2, batch_first=True)
    network.norm = nn.utils.parametrizations.weight_norm(nn.Linear(6, 6))
    return network.eval()


def _outputs(network, x):
    rows = network[:4](x)
    steps = network.rnn(rows[None])[0]
    return network.norm(network.attention(steps, steps, steps)[0])


def test_double_precision_is_that_of_a_deep_copy():
    network = build(_of_many_parts, 0, own=False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 6)))
    double = in_precision(network, torch.float64)
    expected = copy.deepcopy(network).to(torch.float64)
    assert_array_equal(_outputs(double, x).detach(), _outputs(expected, x).detach())
    assert double[0] is double[2]
    assert network[3].last == []
    assert in_precision(network, torch.float32) is network
    for name, value in network.state_dict().items():
        assert value.dtype == before[name].dtype
        assert_array_equal(value, before[name])
