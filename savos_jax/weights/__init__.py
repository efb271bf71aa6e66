"""Parameters from elsewhere, and files that hold them."""
