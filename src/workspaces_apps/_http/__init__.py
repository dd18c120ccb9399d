"""One call to the service, and where the credentials that sign it come from."""
