"""The protocol of cluster jobs, explored in every order in which things can happen."""
