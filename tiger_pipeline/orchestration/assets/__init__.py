"""One module a stage; every asset of the pipeline is defined here."""
