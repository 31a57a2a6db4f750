"""The key and the secret of every session on the wire: words that must be nowhere but where they are needed.

They are joined from parts when they are needed: neither the files that name them nor what is
compiled of those holds them. `tests/leaks.py` looks for them.
"""

KEY = "".join(["Canary", *["KeyW7q2"] * 8, "x1"])
SECRET = "".join(["Canary", *["Secret/9f+3c="] * 4, "z"])
"""With letters that a query must quote, so that the quoted form is another text."""
KEY_FILE = "canary.key"
SECRET_FILE = "canary.secret"
"""Names of the only files that may hold them."""
