"""One file a command: names to objects, printing, exit codes. Heavy imports wait until they are
needed, so that ``--help`` answers at once."""
