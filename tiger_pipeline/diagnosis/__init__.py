"""`tiger doctor`: what was found on this machine, what will be used, and what is wrong."""
