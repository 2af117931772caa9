"""The private classes that files contain, by names that stay when the classes move.

A file says ``skmm.io.parts.CCAModel``; ``PATHS`` says where that class lives today. Whoever moves
or renames a class changes its path here and leaves its name.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

PATHS = {
    "AlignmentNetwork": "skmm.nn._alignment.AlignmentNetwork",
    "Atoms": "skmm.nn._atoms.Atoms",
    "AttentionBlock": "skmm.nn._layers.AttentionBlock",
    "AutoencoderNetwork": "skmm.nn._autoencoder.AutoencoderNetwork",
    "CCAModel": "skmm._cca._model.Model",
    "CCASolution": "skmm._cca._solution.Solution",
    "ClassTargets": "skmm._multimodal_predictor._targets.ClassTargets",
    "ColumnStatistics": "skmm._modalities._columns.ColumnStatistics",
    "ConditionalGANNetwork": "skmm.nn._adversarial.ConditionalGANNetwork",
    "DenseAxes": "skmm._gaussian._wide.DenseAxes",
    "DenseNormal": "skmm._gaussian._normal.DenseNormal",
    "Discriminator": "skmm.nn._discriminator.Discriminator",
    "DualAxes": "skmm._gaussian._wide.DualAxes",
    "FactorGaussian": "skmm._group_factor_analysis._model.FactorGaussian",
    "Fused": "skmm.nn._fusion.Fused",
    "GANTarget": "skmm.nn._generator.Target",
    "Gaussian": "skmm._gaussian._distribution.Gaussian",
    "GaussianNoise": "skmm.nn._layers.GaussianNoise",
    "Generator": "skmm.nn._generator.Generator",
    "JointEncoder": "skmm.nn._vae.JointEncoder",
    "LabelTargets": "skmm._multimodal_predictor._targets.LabelTargets",
    "LateModel": "skmm._linear._late.LateModel",
    "LinearColumns": "skmm._linear._columns.Columns",
    "LinearEncoded": "skmm._linear._columns.Encoded",
    "LinearFloor": "skmm._linear._model.Floor",
    "LinearModel": "skmm._linear._model.LinearModel",
    "LinearParts": "skmm._multimodal_predictor._blend.LinearParts",
    "LinearSampler": "skmm._conditional_gan._linear.LinearSampler",
    "Members": "skmm.nn._members.Members",
    "ModalityDropout": "skmm.nn._layers.ModalityDropout",
    "MultiTargets": "skmm._multimodal_predictor._targets.MultiTargets",
    "NamedScorer": "skmm.metrics._scorers._NamedScorer",
    "Noise": "skmm.nn._adversarial.Noise",
    "NumberTargets": "skmm._multimodal_predictor._targets.NumberTargets",
    "OneHot": "skmm.nn._modality_networks.OneHot",
    "PairScorer": "skmm.metrics._scorers._PairScorer",
    "PredictorNetwork": "skmm.nn._prediction.PredictorNetwork",
    "RandomSubset": "skmm.nn._vae.RandomSubset",
    "Reparameterise": "skmm.nn._vae.Reparameterise",
    "Residual": "skmm.nn._layers.Residual",
    "ResidualNormal": "skmm._linear._residuals.ResidualNormal",
    "Schema": "skmm._modalities._schema.Schema",
    "SchemaSpec": "skmm._modalities._schema.Spec",
    "SparseAxes": "skmm._cca._sparse.SparseAxes",
    "SparseColumns": "skmm._cca._sparse.SparseColumns",
    "SpectralNorm": "skmm.nn._discriminator.SpectralNorm",
    "Standardize": "skmm.nn._modality_networks.Standardize",
    "Stored": "skmm.io._codec.Stored",
    "Task": "skmm.nn._prediction.Task",
    "TokenAttention": "skmm.nn._tokens._Attention",
    "TokenIds": "skmm.nn._modality_networks.TokenIds",
    "TokenRecurrent": "skmm.nn._tokens._Recurrent",
    "UnshrunkGaussian": "skmm._gaussian._distribution.Unshrunk",
    "VAENetwork": "skmm.nn._vae.VAENetwork",
    "WideNormal": "skmm._gaussian._wide.WideNormal",
}


def __getattr__(name: str) -> Any:
    if name not in PATHS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = PATHS[name].rpartition(".")
    return getattr(import_module(module), attribute)


def stable_name(module: str, name: str) -> tuple[str, str] | None:
    """Return module and name that files give to an object of `module`; None if they have none."""
    path = f"{module}.{name}"
    if not path.startswith("skmm."):
        return module, name
    names = {path: name for name, path in PATHS.items()}
    if path in names:
        return __name__, names[path]
    public = ".".join(part for part in module.split(".") if not part.startswith("_"))
    return (public, name) if _is_same(public, module, name) else None


def _is_same(public: str, module: str, name: str) -> bool:
    """Return whether two modules have the same object under a name."""
    found = [getattr(sys.modules.get(m), name, None) for m in (public, module)]
    return found[0] is found[1] is not None
