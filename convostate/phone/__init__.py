"""The web phone: a page on loopback from which a person texts an app, and sees what it remembers.

server        a socket on 127.0.0.1, restarted when the app's code changes
gate          who may ask: this machine's own page, nobody else
site          URLs: the page, what it looks at, what it does
switchboard   what a person can do: text, overlap, lose a cookie, move the clock
shown         what came of one text, as the page shows it
kept, rows    what the store holds of a conversation now, and what has changed of it
transcript    all of that since the start, for every page that looks
"""
