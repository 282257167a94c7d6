"""Sealing: keys, tokens, what a token holds, and the keyed names of conversations."""
