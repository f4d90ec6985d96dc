"""The servers of difyrpc and the command `difyrpc`."""
