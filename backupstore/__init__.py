"""The kernel: what a backup is in the bucket, and what follows from it. Shared by the shipper and the functions."""
