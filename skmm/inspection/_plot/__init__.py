"""Displays: arrays in the constructor, `plot` draws, `from_estimator` computes."""
