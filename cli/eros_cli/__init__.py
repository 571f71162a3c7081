"""The command line of EROS, the embedded servers and the mesh that it runs."""
