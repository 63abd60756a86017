"""What is deployed: how it is put together, and Terraform for both clouds."""
