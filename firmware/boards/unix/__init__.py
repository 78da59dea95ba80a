"""The reader as a process: stdin and stdout are the host line, a socket is the contact line."""
