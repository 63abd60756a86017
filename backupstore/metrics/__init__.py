"""Where numbers about backups go: each module is one provider of ``[monitoring]`` behind ``ports.Metrics``."""
