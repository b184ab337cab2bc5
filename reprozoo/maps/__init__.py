"""The contract: noise and conditions in, images out."""
