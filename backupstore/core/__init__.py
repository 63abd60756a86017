"""The pure core: values in, values out. No clock, no environment, no disk, no network; standard library and pydantic only."""
