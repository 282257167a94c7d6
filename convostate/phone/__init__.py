"""The web phone: a page on loopback from which a person texts and calls an app, and sees its state.

server        a socket on 127.0.0.1, and the reload when the app's code changes
reload        the state that one process passes to the next
security      only this machine's own page, opened with the printed token, may send requests
site          the URLs: the page, its data, its actions
session       the actions: text, call, simulate faults, move the clock
transcript    everything since the start, for every open page
views         the result of one text, as the page shows it
inspector     the stored state of a conversation
rows          a state as rows, and the changes between two states
"""
