"""`python -m proxy.cli`."""

from proxy.cli import main

main(prog_name="excise")
