"""In which order the gallery shows the examples: as one would read them."""

ORDER = [
    "plot_cca_digits",
    "plot_loadings",
    "plot_permutation_test",
    "plot_deep_cca",
    "plot_code_search",
    "plot_autoencoder",
    "plot_variance_explained",
    "plot_vae_completions",
    "plot_conditional_gan",
    "plot_conditional_gan_digits",
    "plot_missing_modalities",
    "plot_modality_importance",
    "plot_grid_search",
    "plot_benchmark",
    "plot_persistence",
    "spoken_and_drawn_digits",
]


class TeachingOrder:
    """Sort key of sphinx-gallery; an example that is not listed is an error."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, file_name: str) -> int:
        """Return the place of a file."""
        return ORDER.index(file_name.removesuffix(".py"))
