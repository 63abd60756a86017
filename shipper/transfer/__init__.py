"""Moving files between the node and the bucket: plan, known files, upload, download; in parallel, with bounded memory."""
