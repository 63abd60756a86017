"""Every parser of what others wrote, given what no program of ours would write: read, or one of our errors, never a crash."""
