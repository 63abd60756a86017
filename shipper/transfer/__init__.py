"""Moving files between node and bucket: plan, known files, upload, download; in parallel, with bounded memory."""
