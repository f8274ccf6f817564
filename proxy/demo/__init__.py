"""`excise demo`: labelled clients against a running Excise, and a live table of what becomes of them."""
