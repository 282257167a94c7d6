"""Example apps to run, to text, and to copy from; the `app` of each module is a WSGI or ASGI app."""
