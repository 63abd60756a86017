"""Functions as they are deployed, in the cloud's own runtime client, beside a real store."""
