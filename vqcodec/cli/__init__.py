"""The commands. `main` parses and dispatches; every other command's module loads when it runs."""
