"""Tests against peers that share no line with us: boto3 and others at our simulator, moto's server at our client."""
