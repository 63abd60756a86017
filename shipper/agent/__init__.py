"""The resident program of a node: it backs up at set times, and obeys what a coordinator commands through the bucket."""
