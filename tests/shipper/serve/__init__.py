"""One machine that keeps the catalog: real directories, real processes."""
