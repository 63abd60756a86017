"""The protocols of backup, purge, restore and index, run by the real code in every disorder that a seed can name."""
