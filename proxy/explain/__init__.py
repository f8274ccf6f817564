"""Why a request was decided as it was, what would have changed it, what shadow rules would have done."""
