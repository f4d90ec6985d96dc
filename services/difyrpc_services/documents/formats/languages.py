"""The languages of program text by the endings of file names."""

from __future__ import annotations

from typing import Final

LANGUAGES: Final = {
    "json": "json", "py": "python", "js": "javascript", "mjs": "javascript", "jsx": "jsx", "ts": "typescript",
    "tsx": "tsx", "java": "java", "kt": "kotlin", "c": "c", "h": "c", "cc": "cpp", "cpp": "cpp", "hpp": "cpp",
    "cs": "csharp",
    "go": "go", "rs": "rust", "rb": "ruby", "php": "php", "swift": "swift", "scala": "scala", "lua": "lua",
    "pl": "perl", "r": "r", "sh": "bash", "bash": "bash", "ps1": "powershell", "bat": "batch", "sql": "sql",
    "css": "css", "scss": "scss", "less": "less", "vue": "vue", "tex": "latex", "proto": "protobuf",
    "graphql": "graphql", "tf": "hcl", "jsonl": "json", "ndjson": "json", "xml": "xml", "xsd": "xml",
    "xsl": "xml", "svg": "xml", "rss": "xml", "atom": "xml", "yaml": "yaml", "yml": "yaml", "toml": "toml",
    "ini": "ini", "cfg": "ini", "conf": "ini", "properties": "properties",
}  # fmt: skip
