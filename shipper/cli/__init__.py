"""The command line: options in, verbs called, text out. No decision is taken here."""
