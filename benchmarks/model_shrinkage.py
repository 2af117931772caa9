"""R² of one modality predicted from the other: the shrinkage that CCA chooses, and its rivals.

Prints the table of docs/decisions/linear_cca.md. The best of a grid is found on the test rows, so
that no rule can be better; ridge regression is tuned by leave-one-out errors.
"""

import copy
from dataclasses import replace

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, Modalities
from skmm.datasets import fetch_mfeat, fetch_nutrimouse, load_digits_halves

GRID = np.logspace(-4, -0.01, 20)


def with_shrinkage(cca: CCA, shrinkage: float) -> CCA:
    """Return a model that predicts with another shrinkage."""
    other = copy.copy(cca)
    gaussian = replace(cca._model.gaussian, shrinkages=(shrinkage, shrinkage))
    other._model = replace(cca._model, distribution=gaussian)
    return other


def r2(X: Modalities, seed: int) -> list[float]:
    """Return R² of the second modality: chosen shrinkage, best of the grid, ridge regression."""
    given, to = X.names
    train, test = train_test_split(X, random_state=seed)
    cca = CCA(1, shrinkage="auto").fit(train)
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 6, 37)))
    guesses = [cca.translate(test, to), ridge.fit(train[given], train[to]).predict(test[given])]
    guesses += [with_shrinkage(cca, c).translate(test, to) for c in GRID]
    total = np.sum((test[to] - train[to].mean(axis=0)) ** 2)
    chosen, tuned, *grid = (1 - np.sum((test[to] - guess) ** 2) / total for guess in guesses)
    return [chosen, max(grid), tuned]


def main() -> None:
    sets = {
        "digits halves": load_digits_halves().data,
        "nutrimouse, gene → lipid": fetch_nutrimouse().data.select(["gene", "lipid"]),
        "mfeat, fac → fou, 286 rows": fetch_mfeat().data.select(["fac", "fou"])[::7],
        "mfeat, fac → fou, 2000 rows": fetch_mfeat().data.select(["fac", "fou"]),
    }
    print("| data | chosen | best of a grid | tuned ridge |\n|---|---|---|---|")
    for name, X in sets.items():
        X = Modalities({key: np.asarray(value, dtype=float) for key, value in X.items()})
        figures = np.mean([r2(X, seed) for seed in range(4)], axis=0)
        print(f"| {name} |", " | ".join(f"{figure:.3f}" for figure in figures), "|")


if __name__ == "__main__":
    main()
