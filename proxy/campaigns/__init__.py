"""Who belongs together: from ties that requests leave, by joining, to campaigns that rules may count."""
