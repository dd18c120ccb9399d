"""Tests of `simulator`: seen by boto3 and by raw HTTP, peers that share no line with our client."""
