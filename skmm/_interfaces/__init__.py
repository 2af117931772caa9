"""Public methods of several estimators: generation, and sampling given conditions."""
