"""`clarin demo`: a service with a shop in it, whose inbox lives while one looks.

run      the service, in a folder of its own that is removed at the end
filling  people, leads, colleagues and devices, by the use cases that everybody has
desk     colleagues who read and answer
screen   the inbox, in a terminal
"""
