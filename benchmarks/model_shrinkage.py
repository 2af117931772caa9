"""R² of one modality predicted from the other, by how the Gaussian model of CCA is shrunk.

Prints the table of docs/decisions/linear_cca.md: the model as it is (shrunk as asked, but not
beyond the analytic optimum), as asked without that cap, and unshrunk regression on the projections.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from unittest import mock

import numpy as np
from sklearn.model_selection import train_test_split

from skmm import CCA, Modalities
from skmm.datasets import fetch_mfeat, fetch_nutrimouse, load_digits_halves


def capped(cca: CCA) -> CCA:
    return cca


def regression(cca: CCA) -> CCA:
    """Replace the model by the moments of the training rows."""
    solution = cca._model.solution
    loadings = [solution.covariances(m) for m in range(len(solution.weights))]
    gaussian = replace(solution.gaussian, joint=solution.codes, loadings=loadings)
    cca._model = replace(cca._model, solution=replace(solution, gaussian=gaussian))
    return cca


def r2(
    X: Modalities, make: Callable[[CCA], CCA], n_components: int | None, shrinkage: float | str
) -> float:
    _, target = X.names
    scores = []
    for seed in range(4):
        train, test = train_test_split(X, random_state=seed)
        cca = make(CCA(n_components, shrinkage=shrinkage).fit(train))
        residual = test[target] - cca.translate(test, target)
        total = test[target] - train[target].mean(axis=0)
        scores.append(1 - np.sum(residual**2) / np.sum(total**2))
    return float(np.mean(scores))


def main() -> None:
    warnings.simplefilter("ignore")  # too many columns for the rows: that is what is compared
    mfeat = fetch_mfeat().data.select(["fac", "fou"])[::7]
    mice = fetch_nutrimouse().data.select(["gene", "lipid"])
    sets = {
        "digits halves": (load_digits_halves().data, 10, (0.0, 0.5, 1.0)),
        "nutrimouse, gene → lipid": (mice, 10, (0.0, 0.5, 1.0, "auto")),
        f"mfeat fac → fou, {len(mfeat)} rows": (mfeat, None, (0.1, 1.0, "auto")),
    }
    print("| data, components | shrinkage | capped | as asked | regression on the projections |")
    print("|---|---|---|---|---|")
    for name, (X, k, shrinkages) in sets.items():
        X = Modalities({key: np.asarray(value) for key, value in X.items()})
        for c in shrinkages:
            optimum = "skmm._cca._whitening.oracle_approximating_shrinkage"
            with mock.patch(optimum, return_value=1.0):
                asked = r2(X, capped, k, c)
            figures = r2(X, capped, k, c), asked, r2(X, regression, k, c)
            print(f"| {name}, {k or 'all'} | {c} |", " | ".join(f"{f:.3f}" for f in figures), "|")


if __name__ == "__main__":
    main()
