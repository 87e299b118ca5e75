"""Reports: figures (the only importer of matplotlib), tables and texts. They read results and compute nothing."""
