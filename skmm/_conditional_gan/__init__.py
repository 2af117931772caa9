"""ConditionalGAN: samples of one modality given the others."""

from skmm._conditional_gan._estimator import ConditionalGAN

__all__ = ["ConditionalGAN"]
