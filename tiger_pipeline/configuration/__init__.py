"""Settings of a run: datasets and variants as short YAML files over documented defaults."""
