"""What happens with a thousand nodes: a simulation in virtual time, requests counted, and what they cost."""
