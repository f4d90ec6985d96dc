"""What formats of rows and columns share: shown numbers, rows into tables, parts."""
