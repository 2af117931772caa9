"""multivae and multi-view-AE, trained in a process and environment of their own.

A folder has each modality as a .npy file (labels as indicators) and ``modalities.json`` with their
likelihoods. Each line on the standard input is a JSON object that says what to train, each answer
on the standard output a JSON line with the seconds. Needs the packages that are asked for.
multivae imports torchvision, which it does not need for this: a stub stands in where it cannot be
loaded.
"""

import argparse
import contextlib
import importlib
import json
import logging
import sys
import tempfile
import time
import types
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from torch import Tensor, nn

Command = dict[str, Any]
Data = dict[str, Tensor]
PACKAGES = ("multivae", "multiviewae", "lightning", "torch")


class Clock:
    """Notes when epochs end, by the clock and of the processor."""

    def __init__(self) -> None:
        self.stamps: list[tuple[float, float]] = []
        self.start = time.perf_counter()

    def note(self) -> None:
        self.stamps.append((time.perf_counter(), time.process_time()))

    def answer(self) -> dict[str, float]:
        """Return the mean seconds of all epochs but the first, and of everything so far."""
        n_epochs = len(self.stamps) - 1
        wall, processor = (b - a for a, b in zip(self.stamps[0], self.stamps[-1], strict=True))
        return {
            "seconds": wall / n_epochs,
            "processor": processor / n_epochs,
            "total": time.perf_counter() - self.start,
        }


def stand_in_for_torchvision() -> None:
    try:
        importlib.import_module("torchvision")
    except Exception:  # a build for other libraries raises more than ImportError
        for name in ("", ".utils", ".datasets", ".datasets.utils", ".transforms", ".models"):
            sys.modules[f"torchvision{name}"] = MagicMock()


def network(n_inputs: int, hidden: list[int], n_outputs: int, command: Command) -> nn.Sequential:
    """Return linear maps with what is between them."""
    activation = {"relu": nn.ReLU, "silu": nn.SiLU}[command["activation"]]
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(n_inputs, size), activation()]
        n_inputs = size
    return nn.Sequential(*layers, nn.Linear(n_inputs, n_outputs))


class Standardised(nn.Module):
    """What skmm does before its encoders: columns of mean 0 and deviation 1, clipped at ±10."""

    mean: Tensor
    scale: Tensor

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        scale = x.std(dim=0, correction=0)
        self.register_buffer("mean", x.mean(dim=0))
        self.register_buffer("scale", torch.where(scale > 0, scale, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.scale).clamp(-10, 10)


def run_multivae(data: Data, likelihoods: dict[str, str], command: Command) -> dict[str, Any]:
    """Train a model of multivae with its trainer, as it comes."""
    parts = _multivae()
    torch.manual_seed(command["seed"])
    clock = Clock()
    grey = data["image"] if command["redraw"] else None
    generator = torch.Generator().manual_seed(command["seed"])
    training = dict(data)
    if grey is not None:
        training["image"] = torch.bernoulli(grey, generator=generator)
    model = _multivae_model(parts, training, likelihoods, command)

    class Between(parts.callbacks.TrainingCallback):
        def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
            if grey is not None:
                training["image"].copy_(torch.bernoulli(grey, generator=generator))

        def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
            clock.note()

    with tempfile.TemporaryDirectory() as folder:
        trainer = parts.trainers.BaseTrainer(
            model,
            parts.datasets.MultimodalBaseDataset(training),
            training_config=parts.trainers.BaseTrainerConfig(
                output_dir=folder,
                per_device_train_batch_size=command["batch_size"],
                num_epochs=command["epochs"],
                optimizer_cls="Adam",
                optimizer_params={"fused": True},
                learning_rate=command["lr"],
                drop_last=True,
                seed=command["seed"],
                no_cuda=True,
            ),
            callbacks=[Between()],
        )
        clock.start = time.perf_counter()
        trainer.train()
        answer = clock.answer()
    if command.get("output"):
        _save(parts, trainer.model, Path(command["data"]), likelihoods, Path(command["output"]))
    return answer


def _multivae() -> types.SimpleNamespace:
    return types.SimpleNamespace(
        models=importlib.import_module("multivae.models"),
        trainers=importlib.import_module("multivae.trainers"),
        callbacks=importlib.import_module("multivae.trainers.base.callbacks"),
        datasets=importlib.import_module("multivae.data.datasets.base"),
        nn=importlib.import_module("multivae.models.nn.base_architectures"),
        pythae=importlib.import_module("pythae.models.base.base_utils"),
    )


def _multivae_model(
    parts: types.SimpleNamespace, data: Data, likelihoods: dict[str, str], command: Command
) -> Any:
    """Return the model with the same networks as skmm has."""
    k, hidden = command["components"], command["hidden"]
    Output = parts.pythae.ModelOutput

    def encoder(name: str, n_outputs: int) -> nn.Module:
        dense = network(data[name].shape[1], hidden, n_outputs, command)
        if not command["standardise"] or likelihoods[name] == "categorical":
            return dense
        return nn.Sequential(Standardised(data[name]), dense)

    class Encoder(parts.nn.BaseEncoder):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.latent_dim = k
            self.network = encoder(name, 2 * k)

        def forward(self, x: Tensor) -> Any:
            mean, log_variance = self.network(x).chunk(2, dim=1)
            return Output(embedding=mean, log_covariance=log_variance)

    class Decoder(parts.nn.BaseDecoder):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.latent_dim = k
            self.network = network(k, command["decoder_hidden"], width, command)

        def forward(self, z: Tensor) -> Any:
            return Output(reconstruction=self.network(z))

    class Joint(parts.nn.BaseJointEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.latent_dim = k
            last = hidden[-1]
            self.networks = nn.ModuleList(encoder(name, last) for name in data)
            self.fusion = network(last * len(data), [last], 2 * k, command)

        def forward(self, x: Data) -> Any:
            found = [f(x[name]) for f, name in zip(self.networks, data, strict=True)]
            mean, log_variance = self.fusion(torch.cat(found, dim=1)).chunk(2, dim=1)
            return Output(embedding=mean, log_covariance=log_variance)

    joint = command["model"] == "JMVAE"
    extra = {
        "MVAE": {"warmup": command["warmup"], "k": 1 if len(data) > 2 else 0},
        "JMVAE": {"warmup": command["warmup"]},
    }
    config = getattr(parts.models, f"{command['model']}Config")(
        n_modalities=len(data),
        latent_dim=k,
        decoders_dist=likelihoods,
        **extra.get(command["model"], {}),
    )
    return getattr(parts.models, command["model"])(
        config,
        encoders={name: Encoder(name) for name in data},
        decoders={name: Decoder(value.shape[1]) for name, value in data.items()},
        **({"joint_encoder": Joint()} if joint else {}),
    )


@torch.no_grad()
def _save(
    parts: types.SimpleNamespace, model: Any, data: Path, likelihoods: dict[str, str], output: Path
) -> None:
    """Write the posteriors of the test rows given each modality and given all, and the decoders."""
    model.eval()
    test = {name: torch.from_numpy(np.load(data / f"test_{name}.npy")) for name in likelihoods}
    rows = parts.datasets.MultimodalBaseDataset(test)
    found = {}
    for given in ([name] for name in test):
        if hasattr(model, "compute_mu_log_var_subset"):
            found[given[0]] = model.compute_mu_log_var_subset(rows, given)
        else:
            encoded = model.encoders[given[0]](test[given[0]])
            found[given[0]] = encoded.embedding, encoded.log_covariance
    if hasattr(model, "joint_encoder"):
        encoded = model.joint_encoder(test)
        found["all"] = encoded.embedding, encoded.log_covariance
    else:
        found["all"] = model.compute_mu_log_var_subset(rows, list(test))
    decoders = {
        name: [p.detach().clone() for p in model.decoders[name].network.parameters()]
        for name in likelihoods
    }
    posteriors = {name: tuple(part.clone() for part in parts_) for name, parts_ in found.items()}
    torch.save({"posteriors": posteriors, "decoders": decoders}, output)


def run_multiviewae(data: Data, likelihoods: dict[str, str], command: Command) -> dict[str, Any]:
    """Train a model of multi-view-AE under Lightning, as it comes but for logs and validation."""
    models = importlib.import_module("multiviewae.models")
    clock = Clock()

    class Timed(getattr(models, command["model"])):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            """Drop an argument that Lightning has refused since version 2."""
            return super().training_step(batch, batch_idx)

        def on_train_epoch_end(self) -> None:
            clock.note()

        def on_train_end(self) -> None:
            """Leave out that the model is written to disk."""

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(_multiviewae_config(likelihoods, command, folder))
        model = Timed(
            cfg=str(config),
            input_dim=[value.shape[1] for value in data.values()],
            z_dim=command["components"],
        )
        clock.start = time.perf_counter()
        model.fit(
            *(value.numpy() for value in data.values()),
            max_epochs=command["epochs"],
            batch_size=command["batch_size"],
        )
        answer = clock.answer()
    return answer


def _multiviewae_config(likelihoods: dict[str, str], command: Command, folder: str) -> str:
    """Return the settings: YAML, of which JSON is a part."""
    network = {"hidden_layer_dim": command["hidden"], "bias": True, "non_linear": True}
    kinds = "multiviewae.base.distributions."
    settings: dict[str, Any] = {
        "out_dir": folder,
        "model": {"seed": command["seed"], "learning_rate": command["lr"], "threshold": 0},
        "datamodule": {"is_validate": False},
        "encoder": {"default": network},
        "decoder": {"default": {**network, "init_logvar": 0}},
        "trainer": {"accelerator": "cpu", "enable_progress_bar": False,
                    "enable_model_summary": False, "enable_checkpointing": False,
                    "limit_val_batches": 0},
        "logger": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": folder},
    }  # fmt: skip
    if command["model"] == "mVAE":
        settings["model"]["warmup"] = command["warmup"]
    for m, likelihood in enumerate(likelihoods.values()):
        if likelihood == "categorical":
            settings["decoder"][f"dec{m}"] = {
                **network,
                "_target_": "multiviewae.architectures.mlp.Decoder",
                "dec_dist": {"_target_": f"{kinds}Categorical"},
            }
    return "# @package _global_\n" + json.dumps(settings)


RUNS = {"multivae": run_multivae, "multiviewae": run_multiviewae}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, help="of torch; all by default")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    stand_in_for_torchvision()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(json.dumps({"ready": _versions()}), flush=True)
    for line in sys.stdin:
        try:
            command = json.loads(line)
            folder = Path(command["data"]) if "data" in command else options.data
            command["data"] = str(folder)
            likelihoods = json.loads((folder / "modalities.json").read_text())
            data = {n: torch.from_numpy(np.load(folder / f"{n}.npy")) for n in likelihoods}
            with contextlib.redirect_stdout(sys.stderr):
                answer: dict[str, Any] = RUNS[command["package"]](data, likelihoods, command)
        except Exception as error:  # the other side must hear of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def _versions() -> str:
    found = []
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return ", ".join(found)


if __name__ == "__main__":
    main()
