"""One call over HTTP: connection, signing, decoding, the recovery of an unknown outcome."""
