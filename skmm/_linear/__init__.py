"""The linear part of deep estimators: columns, tuned linear models, their share in predictions."""
