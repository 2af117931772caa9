"""Variational Bayes of group factor analysis: one step of all updates, and its bound.

The model of standardised columns j of modality m(j), in rows i of weight s_i::

    x_ij = mu_j + w_j' z_i + e_ij,   z_i ~ N(0, I),   e_ij ~ N(0, 1 / tau_j),
    w_jk ~ N(0, 1 / alpha_mk),       alpha_mk ~ Gamma(A0, A0).

The posterior is approximated by q(Z) q(W) q(alpha); mu and tau are point estimates, tau that of
highest posterior density under a prior that counts as a few rows of pure noise. (Without it
columns that depend on others are explained to the last digit, and z is known far too well.) Each
update is the exact maximum of the bound over what it changes, the floor of the noise included, so
that the bound never falls. Nothing of size n d k^2 is formed: the precision of z depends on which
columns a row has, and that of w_j on the rows that have column j, so both are computed once per
pattern of rows and once per group of columns. Within a group they differ by tau_j alone, and one
eigendecomposition serves all: with M = sum of s E[z z'] over its rows and A = diag(alpha),

    (tau M + A)^-1 = B diag(1 / (1 + tau lambda)) B',   A^-1/2 M A^-1/2 = Q diag(lambda) Q',
    B = A^-1/2 Q.

Without relevance W is a point estimate too, and the steps are those of expectation maximisation.

References: Virtanen, Klami, Khan and Kaski, "Bayesian group factor analysis", AISTATS (2012);
Klami, Virtanen, Leppaaho and Kaski, "Group factor analysis", IEEE TNNLS 26 (2015).
"""

from dataclasses import replace

import numpy as np

from skmm._group_factor_analysis._gaps import inverse_roots
from skmm._group_factor_analysis._rotation import Turn, whitening
from skmm._group_factor_analysis._state import A0, Codes, Data, Loadings, Relevance, State

Array = np.ndarray
PRIOR = 10.0  # rows of pure noise, as which the prior of tau counts
FLOOR = 1e-6  # of the noise variance of a standardised column


def expect_codes(data: Data, state: State) -> Codes:
    """Return q(Z) given the rest."""
    tau, gaps = 1.0 / state.noise, data.gaps
    scaled = tau[:, None] * state.loadings.mean
    parts = state.loadings.summed(data.columns, tau)
    offsets = data.columns.sums(state.offset[:, None] * scaled)
    information = data.values @ scaled - gaps.per_row(offsets)  # (n, k)
    k = information.shape[1]
    mean, log_det = np.empty_like(information), 0.0
    moments, total = np.zeros((gaps.n_groups, k * k)), np.zeros((k, k))
    for patterns, batches in data.rows.chunks(k):
        B, log_dets = inverse_roots(gaps.precisions(parts, patterns))
        covariance, weight = B @ B.transpose(0, 2, 1), data.pattern_weight[patterns]
        log_det += float(weight @ log_dets)
        outer, end = weight[:, None, None] * covariance, 0
        for rows in batches:
            here = slice(end, end := end + len(rows))
            Z = mean[rows] = information[rows] @ covariance[here]
            outer[here] += Z.transpose(0, 2, 1) @ (data.weight[rows, None] * Z)
        moments += gaps.seen[patterns].T.astype(float) @ outer.reshape(-1, k * k)
        total += outer.sum(axis=0)
    return data.codes(mean, moments.reshape(-1, k, k), total, log_det)


def products(data: Data, state: State) -> Array:
    """Return the sums of s (x - mu) z over the rows that have each column (d, k)."""
    return state.codes.cross - state.offset[:, None] * state.codes.sums[data.gaps.group]


def expect_loadings(data: Data, state: State) -> Loadings:
    """Return q(W) given the rest."""
    if not data.relevance:
        return _fitted_loadings(data, state)
    R, tau, relevance = products(data, state), 1.0 / state.noise, state.relevance
    found = Loadings.none(len(R), data.gaps.n_groups, R.shape[1])
    for m, part in enumerate(data.columns_of):
        on = np.flatnonzero(relevance.active[m])
        if not len(on):
            continue
        alpha = relevance.mean[m, on]
        for groups, columns in part.within(len(on)):
            M = state.codes.moments[groups[:, None, None], on[:, None], on]
            here = columns[..., None]
            B, D, found.log_det[columns] = _covariances(M, alpha, tau[columns])
            found.mean[here, on] = tau[here] * (D * (R[here, on] @ B)) @ B.transpose(0, 2, 1)
            found.dispersion[columns, : len(on)] = D
            found.basis[groups[:, None], on, : len(on)] = B
    return found


def _covariances(M: Array, alpha: Array, tau: Array) -> tuple[Array, Array, Array]:
    """Return B (g, k, k), D (g, s, k) and log-determinants of (tau M + A)^-1 = B diag(D) B'.

    Groups (g, k, k) have s columns each. Of a single one it is the Cholesky factor, which is quick.
    """
    if tau.shape[1] == 1:
        B, log_det = inverse_roots(tau[..., None] * M + np.diag(alpha))
        return B, np.ones((*tau.shape, len(alpha))), log_det[:, None]
    root = 1.0 / np.sqrt(alpha)
    size, Q = np.linalg.eigh(M * np.outer(root, root))
    D = 1.0 / (1.0 + tau[..., None] * np.maximum(size, 0.0)[:, None])
    return root[:, None] * Q, D, np.log(D).sum(axis=2) - np.log(alpha).sum()


def _fitted_loadings(data: Data, state: State) -> Loadings:
    R = products(data, state)
    found = Loadings.none(len(R), data.gaps.n_groups, R.shape[1])
    B, _ = inverse_roots(state.codes.moments)
    found.mean[:] = data.columns.times(R, B @ B.transpose(0, 2, 1))
    return found


def squared_loadings(data: Data, loadings: Loadings) -> Array:
    """Return the sums of E[w w'] over the columns of each modality (M, k, k)."""
    W, k = loadings.mean, loadings.mean.shape[1]
    found = np.empty((data.n_modalities, k, k))
    inside = data.columns.sums(loadings.dispersion)  # (G, k)
    for m in range(data.n_modalities):
        part, groups = W[data.modality == m], data.modality_of_group == m
        B = loadings.basis[groups].transpose(1, 0, 2).reshape(k, -1)  # (k, G k)
        found[m] = part.T @ part + (B * inside[groups].ravel()) @ B.T
    return found


def residuals(data: Data, state: State) -> Array:
    """Return the sums of s E[(x - mu - w' z)^2] over the rows that have each column (d,)."""
    loadings, mu, moments = state.loadings, state.offset, state.codes.moments
    W, B = loadings.mean, loadings.basis
    found = data.squares - 2.0 * mu * data.sums + data.counts * mu**2
    found += np.sum(W * (data.columns.times(W, moments) - 2.0 * products(data, state)), axis=1)
    turned = np.sum(B * (moments @ B), axis=1)  # (G, k): diagonals of B' M B
    found += np.sum(loadings.dispersion * turned[data.gaps.group], axis=1)
    return np.maximum(found, 0.0)


def fit_relevance(data: Data, state: State) -> Relevance:
    """Return q(alpha) given the rest."""
    squares = np.diagonal(squared_loadings(data, state.loadings), axis1=1, axis2=2)
    return replace(state.relevance, rate=A0 + 0.5 * squares)


def fit_offset(data: Data, state: State) -> Array:
    """Return mu given the rest (d,)."""
    explained = np.einsum("jk,jk->j", state.loadings.mean, state.codes.sums[data.gaps.group])
    return (data.sums - explained) / data.counts


def fit_noise(data: Data, state: State) -> Array:
    """Return 1 / tau given the rest (d,): above the floor the bound falls in it, or it is best."""
    squares, counts = residuals(data, state), data.counts
    prior = PRIOR * np.ones(len(counts)) if data.relevance else np.zeros(len(counts))
    if data.tied:
        squares = np.bincount(data.modality, squares, data.n_modalities)[data.modality]
        counts = np.bincount(data.modality, counts, data.n_modalities)[data.modality]
        prior = prior * data.sizes[data.modality]
    return np.maximum((squares + prior) / (counts + prior), FLOOR)


def bound(data: Data, state: State) -> float:
    """Return the bound of the log-likelihood of the standardised entries, in nats."""
    codes, noise = state.codes, state.noise
    errors = data.counts * np.log(2.0 * np.pi * noise) + residuals(data, state) / noise
    k = codes.mean.shape[1]
    found = -0.5 * errors.sum()
    found += 0.5 * (codes.log_det + data.total * k - np.trace(codes.total))
    if data.relevance:
        found -= 0.5 * PRIOR * np.sum(np.log(noise) + 1.0 / noise - 1.0)
        found += _bound_of_loadings(data, state)
    return float(found)


def _bound_of_loadings(data: Data, state: State) -> float:
    """Return the part of the bound that q(W) and q(alpha) have by themselves."""
    relevance = state.relevance
    squares = np.diagonal(squared_loadings(data, state.loadings), axis1=1, axis2=2)
    each = 0.5 * data.sizes[:, None] * (relevance.log_mean + 1.0)
    each = each - 0.5 * relevance.mean * squares - relevance.kl_divergence()
    return float(each[relevance.active].sum() + 0.5 * state.loadings.log_det.sum())


def gains(data: Data, state: State) -> Array:
    """Return what the bound would gain if a component lost a modality (M, k), the rest as it is.

    Of a Gaussian q(w) that is best for a prior, the best bound under a prior that allows w = 0
    only differs by log q(0) - log p(0) (Friston, Parr and Zeidman, "Bayesian model reduction",
    2018). What is already off has -inf.
    """
    loadings, relevance = state.loadings, state.relevance
    variance = loadings.variances(data.columns)
    on = relevance.active[data.modality]
    variance = np.where(on, variance, 1.0)
    at_zero = -0.5 * (np.log(variance) + loadings.mean**2 / variance)  # (d, k)
    summed = np.zeros(relevance.active.shape)
    np.add.at(summed, data.modality, at_zero)
    found = summed - 0.5 * data.sizes[:, None] * relevance.log_mean + relevance.kl_divergence()
    return np.where(relevance.active, found, -np.inf)


def shares(data: Data, W: Array) -> Array:
    """Return the mean square of the loadings of each modality (M, k): its share of variance."""
    found = np.zeros((data.n_modalities, W.shape[1]))
    np.add.at(found, data.modality, W**2)
    return found / np.maximum(data.sizes, 1)[:, None]


def step(data: Data, state: State, turns: int = 1) -> State:
    """Update everything once; `turns` is how often the rotation may be improved."""
    state = replace(state, loadings=expect_loadings(data, state))
    state = rotate(data, state, turns)
    if data.relevance:
        state = replace(state, relevance=fit_relevance(data, state))
    state = replace(state, offset=fit_offset(data, state))
    state = replace(state, noise=fit_noise(data, state))
    state = replace(state, codes=expect_codes(data, state))
    return replace(state, bound=bound(data, state))


def rotate(data: Data, state: State, turns: int) -> State:
    """Return the state turned and shifted to where the bound is highest."""
    codes, loadings, relevance = state.codes, state.loadings, state.relevance
    if data.relevance:
        squares = squared_loadings(data, loadings)
        turn = Turn(codes.total, squares, data.total, data.sizes, relevance.active, A0)
        R, inverse, log_det = turn.best(turns)
    else:
        R, inverse, log_det = whitening(codes.total, data.total)
    return replace(
        state,
        codes=codes.turned(inverse, -2.0 * data.total * log_det),
        loadings=replace(
            loadings,
            mean=loadings.mean @ R,
            basis=R.T @ loadings.basis,
            log_det=loadings.log_det + 2.0 * _log_dets(R, relevance.active)[data.modality],
        ),
    )


def _log_dets(R: Array, active: Array) -> Array:
    """Return log|R| of the components that are active in each modality (M,)."""
    return np.array([np.linalg.slogdet(R[np.ix_(on, on)])[1] for on in active])
