"""One target a parser; `python -m tests.fuzz` looks for inputs that break what each promises."""
