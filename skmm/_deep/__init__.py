"""The wing of the deep estimators: from checked data to a trained net, and from codes to data."""
