"""Parts of check_stack.py: the services of docker/compose.yaml as plain processes."""
