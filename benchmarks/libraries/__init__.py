"""What the project does by hand, beside the libraries that could do it."""
