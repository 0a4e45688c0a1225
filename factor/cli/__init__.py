"""The four commands: arguments in, exit status out."""
