"""Several machines, played by several processes of one: `make test-cluster`."""
