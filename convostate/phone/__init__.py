"""The web phone: a page on loopback from which a person texts and calls an app, and sees its state.

server        a socket on 127.0.0.1, restarted when the app's code changes
security      who may ask: this machine's own page, opened with the printed token, and nobody else
site          URLs: the page, what it looks at, what it does
session       what a person can do: text, call, overlap
faults        what can go wrong, and the clock to move
views         what came of one text, as the page shows it
messages      the page's sentences that depend on what happened
inspector     what the store holds of a conversation now
rows          a state as rows, and what has changed of it
transcript    all of that since the start, for every page that looks
reload        what one process hands to the next
"""
