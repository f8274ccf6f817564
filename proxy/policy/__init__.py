"""The policy language: YAML in, rules that apply and one decision out. Pure but for `load.load`."""
