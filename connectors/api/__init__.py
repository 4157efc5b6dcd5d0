"""The contract between the gateway and a mail backend: values, abilities and errors. Standard library only."""
