"""Work spread over machines: a job for each case or training, on Dask (the extra ``[cluster]``) or as a job array."""
