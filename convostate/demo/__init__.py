"""Example apps to run, text with and copy from; each module's `app` is a WSGI app."""
