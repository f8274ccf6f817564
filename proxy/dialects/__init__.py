"""
API dialects: what a body asks of the model, what a reply used, and how a refusal is worded.

One file a dialect (and one for its replies, which surfaces of one vendor share), all pure. Adding one
is its file, an entry in `routes.DIALECTS`, and its rows in the table of routes, `proxy/surface.py`.
"""
