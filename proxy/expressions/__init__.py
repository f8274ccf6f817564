"""CEL over declared facts: `when:` on rules and exemptions, `expr:` of the kind `expression`."""
