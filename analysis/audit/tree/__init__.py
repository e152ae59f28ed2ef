"""The walks over all histories of one task: a network and its exact machine along each."""
