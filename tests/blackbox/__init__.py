"""What holds of Excise whatever its inside: only its socket and a recording upstream are known."""
