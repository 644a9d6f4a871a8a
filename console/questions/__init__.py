"""What the pages ask, as a member: one function is one question; row-level security decides what there is."""
