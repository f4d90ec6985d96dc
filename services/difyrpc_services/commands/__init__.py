"""The subcommands of `difyrpc`, a module each, imported on use."""
