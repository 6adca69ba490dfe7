"""What `make import` loads: readers of files that others wrote, and what each becomes over the public API."""
