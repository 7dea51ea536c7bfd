"""Training of deep networks whose weights stay on a manifold, and what is measured on the way."""
