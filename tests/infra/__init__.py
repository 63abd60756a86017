"""What is deployed: bundles, roles, Terraform."""
