"""Data sets: simulated with known answers, bundled, and downloaded with checksums."""

from skmm.datasets._base import clear_data_home, get_data_home
from skmm.datasets._breast_tcga import fetch_breast_tcga
from skmm.datasets._cll import fetch_cll
from skmm.datasets._conditional import make_conditional
from skmm.datasets._digits import load_digits_halves
from skmm.datasets._fsdd import fetch_fsdd
from skmm.datasets._mfeat import fetch_mfeat
from skmm.datasets._mnist import fetch_mnist
from skmm.datasets._mvclust import fetch_mvclust
from skmm.datasets._nutrimouse import fetch_nutrimouse
from skmm.datasets._russett import fetch_russett
from skmm.datasets._scgem import fetch_scgem
from skmm.datasets._scmt import fetch_scmt
from skmm.datasets._simulated import make_shared_latent
from skmm.datasets._snareseq import fetch_snareseq
from skmm.datasets._wikipedia import fetch_wikipedia

__all__ = [
    "clear_data_home",
    "fetch_breast_tcga",
    "fetch_cll",
    "fetch_fsdd",
    "fetch_mfeat",
    "fetch_mnist",
    "fetch_mvclust",
    "fetch_nutrimouse",
    "fetch_russett",
    "fetch_scgem",
    "fetch_scmt",
    "fetch_snareseq",
    "fetch_wikipedia",
    "get_data_home",
    "load_digits_halves",
    "make_conditional",
    "make_shared_latent",
]
