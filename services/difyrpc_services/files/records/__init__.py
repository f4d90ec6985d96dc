"""Stores of records: who has which files, and the ledger of bytes."""
