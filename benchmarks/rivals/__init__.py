"""What people use today: one small module each, as its own documentation writes it.

Each module has `LABEL`; `app(redis_url)` gives a WSGI app that verifies with RequestValidator, counts the
texts of a conversation in its session, and answers as `benchmarks.apps` does.
"""
