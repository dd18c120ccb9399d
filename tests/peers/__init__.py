"""Peers that share no line with us: boto3 against our simulator, moto's server against our client."""
