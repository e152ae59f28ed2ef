"""The exact gap of one network, its parts, and judges from outside."""
