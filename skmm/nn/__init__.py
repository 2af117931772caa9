"""Building blocks of the deep estimators: networks, fusion, likelihoods, losses; torch only."""

from skmm.nn._convolution import ConvDecoder, ConvEncoder
from skmm.nn._experts import product_of_experts
from skmm.nn._fusion import AttentionFusion, ConcatFusion, MeanFusion
from skmm.nn._initialize import initialize
from skmm.nn._layers import ACTIVATIONS, Dropout, FeedForward, seed_draws
from skmm.nn._likelihoods import (
    LIKELIHOODS,
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
    LaplaceLikelihood,
    PoissonLikelihood,
)
from skmm.nn._losses import (
    barlow_twins_loss,
    cca_loss,
    ey_loss,
    gcca_loss,
    infonce_loss,
    vicreg_loss,
)
from skmm.nn._specs import MLP, Conv, Tokens
from skmm.nn._tokens import TokenEncoder, check_token_ids

__all__ = [
    "ACTIVATIONS",
    "LIKELIHOODS",
    "MLP",
    "AttentionFusion",
    "BernoulliLikelihood",
    "CategoricalLikelihood",
    "ConcatFusion",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "Dropout",
    "FeedForward",
    "GaussianLikelihood",
    "LaplaceLikelihood",
    "MeanFusion",
    "PoissonLikelihood",
    "TokenEncoder",
    "Tokens",
    "barlow_twins_loss",
    "cca_loss",
    "check_token_ids",
    "ey_loss",
    "gcca_loss",
    "infonce_loss",
    "initialize",
    "product_of_experts",
    "seed_draws",
    "vicreg_loss",
]
