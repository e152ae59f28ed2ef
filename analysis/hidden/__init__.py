"""What the hidden state of a network holds."""
