"""The contracts of difyrpc, generated from protos/."""
