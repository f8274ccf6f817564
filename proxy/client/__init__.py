"""Who sent a request: key, account, address; nothing secret leaves this folder."""
