"""What the deep estimators share: from checked data over networks to a trained net, and back."""
