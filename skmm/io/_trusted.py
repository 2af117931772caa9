"""The types that files may name, beside those that skops trusts.

Each has been reviewed: building one from any arguments, and giving it any attributes, runs no
code from a file, and reads or writes no other file; docs/decisions/persistence.md says why.
Functions are never listed, since it is not known which code calls them later.
"""

from skmm.io.parts import PATHS

_PUBLIC = tuple(
    f"skmm.{name}"
    for name in (
        "CCA",
        "ConditionalGAN",
        "DeepCCA",
        "GroupFactorAnalysis",
        "Modalities",
        "MultimodalAutoencoder",
        "MultimodalClassifier",
        "MultimodalRegressor",
        "MultimodalVAE",
        "baselines.MarginalSampler",
        "baselines.NeighborsSampler",
        "baselines.RidgeSampler",
        "compose.ConcatModalities",
        "compose.GaussianImputer",
        "compose.PerModality",
        "compose.SelectModality",
        "model_selection.MissingModalitySplit",
        "nn.AttentionFusion",
        "nn.BernoulliLikelihood",
        "nn.CategoricalLikelihood",
        "nn.ConcatFusion",
        "nn.Conv",
        "nn.ConvDecoder",
        "nn.ConvEncoder",
        "nn.Dropout",
        "nn.FeedForward",
        "nn.GaussianLikelihood",
        "nn.LaplaceLikelihood",
        "nn.MLP",
        "nn.MeanFusion",
        "nn.PoissonLikelihood",
        "nn.TokenEncoder",
        "nn.Tokens",
        "preprocessing.ImageScaler",
        "preprocessing.LogMel",
        "preprocessing.Tokenizer",
    )
)
_PRIVATE = tuple(f"skmm.io.parts.{name}" for name in PATHS)
_TORCH = tuple(
    f"torch.nn.modules.{name}"
    for name in (
        "activation.ELU",
        "activation.GELU",
        "activation.LeakyReLU",
        "activation.MultiheadAttention",
        "activation.ReLU",
        "activation.SiLU",
        "activation.Sigmoid",
        "activation.Softplus",
        "activation.Tanh",
        "batchnorm.BatchNorm1d",
        "batchnorm.BatchNorm2d",
        "container.ModuleDict",
        "container.ModuleList",
        "container.Sequential",
        "conv.Conv1d",
        "conv.Conv2d",
        "conv.ConvTranspose2d",
        "dropout.Dropout",
        "flatten.Flatten",
        "flatten.Unflatten",
        "linear.Identity",
        "linear.Linear",
        "linear.NonDynamicallyQuantizableLinear",
        "normalization.GroupNorm",
        "normalization.LayerNorm",
        "pooling.AdaptiveAvgPool2d",
        "pooling.AvgPool2d",
        "pooling.MaxPool2d",
        "sparse.Embedding",
        "upsampling.Upsample",
    )
)
_SEARCHES = (
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._split.GroupKFold",
    "sklearn.model_selection._split.GroupShuffleSplit",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.LeaveOneGroupOut",
    "sklearn.model_selection._split.PredefinedSplit",
    "sklearn.model_selection._split.ShuffleSplit",
    "sklearn.model_selection._split.StratifiedGroupKFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.model_selection._split.StratifiedShuffleSplit",
    "sklearn.model_selection._split.TimeSeriesSplit",
)
TRUSTED = (*_PUBLIC, *_PRIVATE, *_TORCH, *_SEARCHES)
