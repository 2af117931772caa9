"""What tests and doctests share, and which of them `make test` leaves to `make slow`.

A test that only takes many seconds itself is marked ``slow`` where it stands. Here are the cases
that `make slow` adds to a test of which `make test` runs others, and doctests, which have no marks.
"""

import os
import sys

import pytest

# They state results of the processor, whose random numbers are others. `tests/simulated_cuda` and
# `make gpu` are for devices.
if "SKMM_TEST_CUDA" not in os.environ:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

# By file: tests, or some of their cases.
SLOW = {
    "test_autoencoder": ["test_modality_dropout_serves_rows_that_lack_one"],
    "test_benchmark_cli": ["test_own_data_and_estimator_take_ten_lines_or_one"],
    "test_benchmark_gaps": [
        "test_a_messy_table_runs[fuse]",
        "test_a_messy_table_runs[transfer]",
        "test_a_messy_table_runs[align text]",
        "test_a_messy_table_runs[single columns]",
    ],
    "test_benchmark_store": [
        "test_killed_runs_lose_only_cells_in_flight[two workers, killed twice]",
        "test_cells_whose_process_dies_have_failed",
        "test_fresh_processes_tell_the_peak_memory",
    ],
    "test_conditional_gan": [
        "test_conditions_may_be_missing_if_training_hid_them",
        "test_images_of_digits_are_completed",
        "test_nearly_the_exact_conditional_of_a_simulated_task",
        *(
            f"test_any_target_from_conditions_of_any_kind[{target}-{loss}]"
            for target in ("vector", "image", "bits", "label", "count")
            for loss in ("wasserstein", "hinge", "standard")
        ),
    ],
    "test_contract": [
        f"test_parameter_has_no_effect[{name}-compile]"
        for name in (
            "ConditionalGAN",
            "MultimodalAutoencoder",
            "MultimodalClassifier",
            "MultimodalRegressor",
            "MultimodalVAE",
        )
    ],
    "test_parallel": [
        "test_joblib_backends_agree_with_a_sequential_run[loky]",
        "test_processes_may_be_started_after_a_fit[spawn]",
    ],
    "test_permutation": ["test_level_beyond_the_true_components[three, few rows]"],
    "test_readme": [
        f"test_python_runs_and_prints_what_is_shown[docs/{name}.md]"
        for name in (
            "benchmark",
            "conditional_gan",
            "deep_cca",
            "multimodal_autoencoder",
            "multimodal_prediction",
            "multimodal_vae",
        )
    ],
    "test_vae": [
        "test_a_linear_model_is_factor_analysis",
        "test_active_units",
        "test_experts_do_not_outbid_each_other[joint]",
        *(
            f"{name}[{posterior}]"
            for name in (
                "test_the_bound_is_the_exact_likelihood_of_a_linear_model",
                "test_draws_given_rows_have_the_conditional_mean",
                "test_labels_are_a_modality",
            )
            for posterior in ("moe", "mopoe", "mvtcae", "joint")
        ),
    ],
}
SLOW_EXAMPLES = ["MultimodalVAE", "MultimodalAutoencoder", "ConditionalGAN"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark what is slow, before what is not asked for is left out."""
    met = set()
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            names = {item.name.rpartition(".")[2]} & {*SLOW_EXAMPLES}
        else:
            names = {item.name, item.name.partition("[")[0]} & {*SLOW.get(item.path.stem, ())}
            met |= {(item.path.stem, name) for name in names}
        if names:
            item.add_marker(pytest.mark.slow)
    files = {item.path.stem for item in items} & SLOW.keys()
    gone = {(file, name) for file in files for name in SLOW[file]} - met
    if gone and not any("::" in arg for arg in config.args):
        raise pytest.UsageError(f"SLOW in conftest.py lists what is not there: {sorted(gone)}")


@pytest.fixture(autouse=True)
def figures_are_closed():
    """Close the figures that a test or an example leaves open; matplotlib warns of many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
