"""Test clients of the frameworks whose requests are signed: one module for each, loaded when used."""
