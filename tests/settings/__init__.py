"""A test for each option: set in a file, it changes what is done. ``test_every_option`` finds the one that has none."""
