"""What an estimator offers, whatever computes it: generation, and sampling given conditions."""
